"""What ``deploy.logs`` is asked for: what people type, as something to search the journals with. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from marketplace_arguments import Unusable, moment, nothing_else, text
from marketplace_log_entries import LEVELS, Entry
from marketplace_log_places import SERVICES, SHARES
from marketplace_units import parse_duration

OPTIONS = ("service", "since", "until", "level", "release", "update_id", "lines")
SPAN = 15 * 60
LINES = 100
_MOST_LINES = 1_000_000
_RELEASE = re.compile(r"\d{8}T\d{6}")


@dataclass(frozen=True)
class Query:
    """What to look for.

    Attributes:
        services: whose lines; since, until: seconds since 1970, None for no bound.
        level: the least that counts; release, update_id: only what belongs to it; "" and None for all.
        lines: how many of the last; 0 for all.
    """

    services: tuple[str, ...]
    since: float | None
    until: float | None
    level: str = LEVELS[0]
    release: str = ""
    update_id: int | None = None
    lines: int = LINES

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is looked for."""
        return (
            entry.service in self.services
            and LEVELS.index(entry.level) >= LEVELS.index(self.level)
            and self.release in ("", entry.release)
            and self.update_id in (None, entry.update_id)
        )

    def arguments(self) -> list[str]:
        """journalctl's, for the journals and the time in question."""
        own = [service for service in self.services if service in SHARES]
        # With a plus the host's as well: it has the lines of containers that an older tree has started.
        namespace = [] if not own else [f"--namespace=+{own[0]}" if len(own) == 1 else "--namespace=*"]
        bounds = {"since": self.since, "until": self.until}
        return [
            *namespace,
            *(f"--{name}=@{value:.6f}" for name, value in bounds.items() if value is not None),
        ]


def query(options: Mapping[str, Any], now: float) -> Query:
    """The query that options ask for.

    Args:
        now: seconds since 1970.

    Raises:
        Unusable: an option is unknown or says something that cannot be meant; the message names it.
    """
    nothing_else({name: value for name, value in options.items() if name not in OPTIONS}, OPTIONS)
    release = text("release", options.get("release"), "20261124T081500Z (see deploy.history)")
    update_id = _number("update_id", options.get("update_id"), 10**18, "update_id=847120934")
    since, until = (_instant(name, options.get(name), now) for name in ("since", "until"))
    if since is None and update_id is None:
        since = _begun(release) if release else (now if until is None else until) - SPAN
    if since is not None and until is not None and since >= until:
        raise Unusable(f"since is not before until: {options.get('since')!r} and {options.get('until')!r}")
    lines = _number("lines", options.get("lines"), _MOST_LINES, "lines=500, or lines=0 for all")
    return Query(
        services=_services(options.get("service")),
        since=since,
        until=until,
        level=_level(options.get("level")),
        release=release,
        update_id=update_id,
        lines=LINES if lines is None else lines,
    )


def _services(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return tuple(name for name in SERVICES if name != "system")
    names = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(_one_of("service", str(name).strip(), SERVICES) for name in names)


def _level(value: Any) -> str:
    return LEVELS[0] if value is None or value == "" else _one_of("level", str(value).lower(), LEVELS)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise Unusable(f"{name} is {value!r}, expected one of {', '.join(known)}")
    return value


def _number(name: str, value: Any, most: int, example: str) -> int | None:
    if value is None or value == "":
        return None
    digits = str(value)
    if isinstance(value, bool) or not digits.isdecimal() or int(digits) > most:
        raise Unusable(f"{name} is {value!r}, expected a whole number such as {example}")
    return int(digits)


def _instant(name: str, value: Any, now: float) -> float | None:
    """Seconds since 1970 of a point in time, or of a duration before now."""
    if isinstance(value, str) and re.fullmatch(r"\d+[smhd]", value.strip()):
        return now - parse_duration(value.strip())
    if isinstance(value, bool | int | float):
        raise Unusable(
            f"{name} is {value!r}, expected a duration with its unit such as 15m, 2h or 3d, or a time"
        )
    try:
        found = moment(name, value)
    except Unusable:
        raise Unusable(
            f"{name} is {value!r}, expected how long ago (15m, 2h, 3d), or a point in time such as "
            "2026-11-24T08:15:00+00:00 (without a zone: the droplet's)"
        ) from None
    return None if found is None else found.timestamp()


def _begun(release: str) -> float | None:
    """When a release began: its id says so."""
    stamp = _RELEASE.match(release)
    return datetime.strptime(stamp[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp() if stamp else None
