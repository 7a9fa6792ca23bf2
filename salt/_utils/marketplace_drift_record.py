"""What the last look for drift has found, kept for deploy.status, the watchdog and the next look."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_drift import Difference
from marketplace_durable import make_directory, read_json, to_json, write_atomic

# How the trouble begins of states that could not even be asked.
FAILS = "state.apply test=True fails"
# Looks are made daily: one that is so much older was missed twice.
LATE = 2.5 * 86400


def document(
    before: Mapping[str, Any] | None,
    differences: Iterable[Difference],
    pending: Iterable[str],
    trouble: Iterable[str],
    now: datetime,
    seconds: float,
) -> dict[str, Any]:
    """What is written of a look; each difference keeps the time it was seen first. Pure.

    Args:
        before: what is on record, where there is anything.
        trouble: what could not be looked at.
        now: when the look was over; seconds: what it took.
    """
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    known = {_key(row): row["since"] for row in (before or {}).get("differences", [])}
    rows = [one.to_dict() | {"since": known.get(one.key, at)} for one in differences]
    return {
        "looked": at,
        "seconds": round(seconds, 1),
        "differences": rows,
        "pending": list(pending),
        "trouble": list(trouble),
    }


def put_right(before: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is on record behind a state.apply that went well; None where that changes nothing. Pure.

    What no state owns is as it was.
    """
    left = {
        "differences": [row for row in before["differences"] if not row["owned"]],
        "trouble": [words for words in before["trouble"] if not words.startswith(FAILS)],
        "pending": [],
    }
    after = {**before, **left}
    return None if after == before else after


def words(found: Mapping[str, Any]) -> str:
    """The look in a sentence. Pure."""
    causes = [row for row in found["differences"] if not row["follows"]]
    blind = "; ".join(found["trouble"])
    if not causes:
        return f"drift can't be looked for: {blind}" if blind else "none"
    since = datetime.fromisoformat(min(row["since"] for row in causes))
    count = f"{len(causes)} difference{'s' if len(causes) > 1 else ''} since {since:%d %b %H:%M} UTC"
    listed = ", ".join(f"{_named(row)} {row['words']}"[:200] for row in causes[:4])
    more = f", and {len(causes) - 4} more" if causes[4:] else ""
    # Behind what was found there may be more.
    unseen = f"; not all could be looked at: {blind}" if blind else ""
    return f"{count}: {listed}{more}; {advice(causes)}{unseen}"


def advice(rows: Iterable[Mapping[str, Any]]) -> str:
    """What to do about differences. Pure."""
    owned = [row["owned"] for row in rows]
    if all(owned):
        return "salt-call state.apply puts it right"
    return "salt-call health.drift says what to do about each" + (
        "; salt-call state.apply puts some right" if any(owned) else ""
    )


def _named(row: Mapping[str, Any]) -> str:
    """What a difference is about; a name alone does not say what kind of thing it is, a path does."""
    return str(row["name"]) if row["owned"] or row["state"] == "file" else f"{row['state']} {row['name']}"


def status(file: Path, now: float) -> dict[str, Any] | None:
    """What deploy.status shows; None where nobody has looked yet.

    ``trouble`` is why there may be more than the differences.

    Args:
        file: the record; now: seconds since 1970.

    Raises:
        ValueError: it is not JSON.
    """
    found = read_json(file)
    if found is None:
        return None
    looked = datetime.fromisoformat(found["looked"]).timestamp()
    late = [f"nobody has looked for {(now - looked) / 86400:.0f} days"] if now - looked > LATE else []
    return {
        "summary": "; ".join([words(found), *late]),
        "looked": found["looked"],
        "differences": [
            f"{_named(row)} {row['words']}" for row in found["differences"] if not row["follows"]
        ],
        "pending": found["pending"],
        "trouble": [*found["trouble"], *late],
    }


def write(file: Path, found: Mapping[str, Any]) -> None:
    """Keep it; what differs may say more than everybody should know."""
    make_directory(file.parent)
    write_atomic(file, to_json(found), 0o600)


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['state']}/{row['name']}"
