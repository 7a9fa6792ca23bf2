"""How well the bot was reached: what `health.slo` and a line of `deploy.status` tell of the record. Reads only."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from marketplace_histogram import percentile
from marketplace_ledger import LedgerError
from marketplace_managed import is_managed
from marketplace_records import ReleaseRecord
from marketplace_slo_budget import DAYS, HOUR, PACES, allowed, burn, goal_of
from marketplace_slo_files import KEPT_DAYS, MINUTES_DAYS, Record
from marketplace_slo_lines import (
    ANSWERS,
    DAY,
    GOOD,
    MINUTE,
    NONE,
    PLANNED,
    PROBES,
    QUERIES,
    RESTARTS,
    SCATTERED,
    UNREAD,
    UP,
    Line,
    Span,
    added,
    below,
    clipped,
    histogram,
    length,
    united,
)
from marketplace_world import World

_PERCENTILES = (50, 95, 99)
_UNWRITTEN = 2.0 * MINUTE
# What was done before this many is not asked for.
LONGEST_DAYS = KEPT_DAYS


def slo(world: World, settings: Mapping[str, Any], days: int, now: float) -> dict[str, Any]:
    """How well the bot was reached.

    Args:
        days: so many, today among them; they begin at midnight UTC. ``MINUTES_DAYS`` at most are told by the hour.
        now: the time, in seconds since 1970.

    Raises:
        LedgerError: a release's record can't be read.
    """
    goal = goal_of(settings)
    step = HOUR if days <= MINUTES_DAYS else DAY
    since = int(now // DAY) * DAY - (days - 1) * DAY
    lines = Record(world.paths.slo).lines(since)
    whole = tallied(lines)
    releases = _releases(world, since)
    down = _down(lines)
    slices = [_slice(lines, down, releases, at, at + step) for at in range(since, int(now) + 1, step)]
    return {
        "days": days,
        "since": _moment(since),
        "until": _moment(now),
        "uptime": uptime(whole, lines, goal, since, now),
        "budget": budget(whole, goal, days),
        "longest_outage": longest(down),
        "burn": {f"{pace.long // HOUR}h": round(burn(down, now, pace.long, goal), 2) for pace in PACES},
        "answers": answers(whole),
        "queries": queries(whole, is_managed(settings, "postgres")),
        "releases": _outcomes(releases, "release"),
        "rollbacks": _outcomes(releases, "rollback"),
        "restarts": {name: int(times) for name, times in below(whole, RESTARTS).items()},
        "series": {"step": "hour" if step == HOUR else "day", **_columns(slices)},
    }


def words(world: World, settings: Mapping[str, Any], now: float) -> str:
    """The uptime of 30 days and what is left of its budget, in a line."""
    goal = goal_of(settings)
    lines = Record(world.paths.slo).lines(int(now // DAY) * DAY - (DAYS - 1) * DAY)
    whole = tallied(lines)
    found = uptime(whole, lines, goal, 0, now)["percent"]
    if found is None:
        return "uptime is unknown: nobody has looked yet; see health.slo"
    spent = budget(whole, goal, DAYS)
    return (
        f"{found:g}% uptime in {DAYS} days (goal {goal:g}%), {spent['used']:g} of {spent['minutes']:g} minutes of "
        "downtime used; see health.slo"
    )


def tallied(lines: Iterable[Line]) -> dict[str, float]:
    """All counts, with ``down`` and ``lost`` among them."""
    known = list(lines)
    counts = added(line.counts for line in known)
    counts["down"] = length(_down(known)) + counts.get(SCATTERED, 0.0)
    counts["lost"] = counts.get(f"{ANSWERS}.5xx", 0.0) + counts.get(NONE, 0.0)
    return counts


def share_up(counts: Mapping[str, float]) -> float | None:
    """The share of the time, as far as somebody has looked, in which updates were taken; None where nobody has."""
    up = counts.get(UP, 0.0)
    seen = up + counts.get("down", 0.0) + counts.get(PLANNED, 0.0)
    return up / seen if seen else None


def uptime(
    counts: Mapping[str, float], lines: Sequence[Line], goal: float, since: float, now: float
) -> dict[str, Any]:
    """Uptime in percent; maintenance counts against it, and is told apart."""
    share = share_up(counts)
    down, planned = counts["down"], counts.get(PLANNED, 0.0)
    begun = max(since, min((line.at for line in lines), default=now))
    written = max((line.to for line in lines), default=now)
    # The minute that is not over is not written yet.
    until = written if now - written < _UNWRITTEN else now
    unknown = max(0.0, until - begun - counts.get(UP, 0.0) - down - planned)
    return {
        "percent": None if share is None else _floor(100 * share),
        "goal": goal,
        "down_minutes": round(down / MINUTE, 1),
        "planned_minutes": round(planned / MINUTE, 1),
        "unknown_minutes": round(unknown / MINUTE, 1),
        "recorded_since": _moment(begun),
        "probes": int(counts.get(PROBES, 0)),
        "probes_failed": int(counts.get(PROBES, 0) - counts.get(GOOD, 0)),
    }


def budget(counts: Mapping[str, float], goal: float, days: int) -> dict[str, float]:
    """The minutes of downtime that so many days allow, used and left; what is left is below 0 where it is overspent."""
    whole = allowed(goal, days) / MINUTE
    used = (counts["down"] + counts.get(PLANNED, 0.0)) / MINUTE
    return {"minutes": round(whole, 1), "used": round(used, 1), "left": round(whole - used, 1)}


def longest(down: Iterable[Span]) -> dict[str, Any] | None:
    """The longest time in one piece in which the bot could not be reached; None where there was none."""
    span = max(down, key=lambda span: span[1] - span[0], default=None)
    if span is None:
        return None
    return {"began": _moment(span[0]), "minutes": round((span[1] - span[0]) / MINUTE, 1)}


def answers(counts: Mapping[str, float]) -> dict[str, Any]:
    """How the bot has answered updates. Lost are those with 5xx or without an answer: Telegram sends them again."""
    count = counts.get(ANSWERS, 0.0)
    return {
        "count": int(count),
        **_durations(counts, ANSWERS),
        "slow_percent": round(100 * counts.get(f"{ANSWERS}.slow", 0.0) / count, 2) if count else None,
        "lost": int(counts["lost"]),
        "by_status": {name: int(number) for name, number in below(counts, ANSWERS).items() if name != "slow"},
    }


def queries(counts: Mapping[str, float], managed: bool) -> dict[str, Any]:
    """How long the bot's queries took, by estimate; ``unknown`` says why where that can't be told.

    Args:
        managed: whether PostgreSQL is at a provider.
    """
    count = counts.get(QUERIES, 0.0)
    unread, why = counts.get(UNREAD, 0.0), None
    if managed and not count:
        why = "PostgreSQL is at a provider, which has the figures"
    elif unread and not count:
        why = "PostgreSQL was away, or has no pg_stat_statements: state.apply"
    return {
        "estimated": True,
        "unknown": why,
        "count": int(count),
        **_durations(counts, QUERIES),
        "slow_percent": round(100 * counts.get(f"{QUERIES}.slow", 0.0) / count, 2) if count else None,
    }


def _durations(counts: Mapping[str, float], prefix: str) -> dict[str, float | None]:
    buckets = histogram(counts, prefix)
    found = {percent: percentile(buckets, percent) for percent in _PERCENTILES}
    return {f"p{percent}_ms": None if ms is None else _figures(ms) for percent, ms in found.items()}


def _slice(
    lines: Sequence[Line],
    down: Sequence[Span],
    releases: Sequence[ReleaseRecord],
    since: float,
    until: float,
) -> dict[str, Any]:
    """What the sparklines show of one day or hour."""
    counts = tallied(line for line in lines if since <= line.at < until)
    # A line of when nobody looked may be longer than its minute.
    counts["down"] = length(clipped(down, since, until)) + counts.get(SCATTERED, 0.0)
    share = share_up(counts)
    return {
        "begins": _moment(since),
        "uptime_percent": None if share is None else _floor(100 * share),
        "down_minutes": None if share is None else round(counts["down"] / MINUTE, 1),
        "answers_p95_ms": _durations(counts, ANSWERS)["p95_ms"],
        "queries_p95_ms": _durations(counts, QUERIES)["p95_ms"],
        "lost": int(counts["lost"]) if counts.get(ANSWERS) else None,
        "releases": sum(1 for record in releases if since <= _began(record) < until),
        "restarts": int(sum(below(counts, RESTARTS).values())),
    }


def _columns(slices: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [one[name] for one in slices] for name in slices[0]}


def _down(lines: Iterable[Line]) -> tuple[Span, ...]:
    return united(span for line in lines for span in line.down)


def _releases(world: World, since: float) -> list[ReleaseRecord]:
    found = []
    for record in world.ledger.newest_first():
        if _began(record) < since:
            break
        found.append(record)
    return found


def _began(record: ReleaseRecord) -> float:
    try:
        return datetime.fromisoformat(record.started).timestamp()
    except ValueError as error:
        raise LedgerError(f"the record of release {record.release} has no time: {error}") from error


def _outcomes(records: Iterable[ReleaseRecord], kind: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for record in records:
        if record.kind == kind:
            found[record.outcome] = found.get(record.outcome, 0) + 1
    return found


def _floor(percent: float) -> float:
    """Three places, never rounded up: 100 is said of nothing less."""
    return int(percent * 1000 + 1e-6) / 1000


def _figures(value: float) -> float:
    """Three figures."""
    return float(f"{value:.3g}")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
