"""The record of how well the bot was reached, in lines: of a minute, or of a day that is over. Pure.

A line can be read twice, in any order and beside copies of itself: of two about the same, by the same who saw it, what
either has seen counts once. Days are of UTC.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace_histogram import Histogram

Span = tuple[float, float]
MINUTE, DAY = 60, 86400
# A day that is over keeps so many of its outages, the longest; of the others it keeps how long they were in all.
MOST_SPANS = 100

# What is counted. Seconds; the seconds that are down are spans of the line.
UP, PLANNED, SCATTERED = "up", "planned", "scattered"
PROBES, GOOD = "probes", "probes.good"
# Answers of the bot, by status class; NONE went without.
ANSWERS, NONE = "answers", "answers.none"
# Queries of the bot; UNREAD: how often their times could not be had.
QUERIES, UNREAD = "queries", "queries.unread"
RESTARTS = "restarts"


@dataclass(frozen=True)
class Line:
    """What somebody has seen.

    Attributes:
        at: when the minute or day began, in seconds since 1970.
        by: who saw it: one run of the watchdog on one machine; empty for a day that is over.
        to: until when it was seen.
        down: from when to when the bot could not be reached, in order, none touching another.
        counts: everything that adds up, by name.
    """

    at: int
    by: str
    to: float
    down: tuple[Span, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time, in as few spans as there can be."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return tuple(found)


def clipped(spans: Iterable[Span], since: float, until: float) -> tuple[Span, ...]:
    """As much of the spans as is between two instants."""
    return united((max(begin, since), min(end, until)) for begin, end in spans)


def length(spans: Iterable[Span]) -> float:
    """Seconds of spans that do not overlap."""
    return sum(end - begin for begin, end in spans)


def pieces(since: float, until: float, size: int) -> Iterable[tuple[int, Span]]:
    """A span cut at the full minutes (or days): each piece with where its minute began."""
    while since < until:
        at = int(since // size) * size
        end = min(until, at + size)
        yield at, (since, end)
        since = end


def added(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Sums, by name."""
    found: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            found[name] = found.get(name, 0.0) + value
    return found


def merged(lines: Iterable[Line]) -> list[Line]:
    """Every line once, sorted; minutes of a day that is over are in the day's line already."""
    found: dict[tuple[int, str], Line] = {}
    for line in lines:
        key = (line.at, line.by)
        found[key] = _joined(found[key], line) if key in found else line
    over = {line.at for line in found.values() if not line.by}
    kept = (line for line in found.values() if not line.by or line.at // DAY * DAY not in over)
    return sorted(kept, key=lambda line: (line.at, line.by))


def _joined(one: Line, other: Line) -> Line:
    """What two lines about the same have seen: a later one has all of an earlier one, and more."""
    names = {**one.counts, **other.counts}
    counts = {name: max(one.counts.get(name, 0.0), other.counts.get(name, 0.0)) for name in names}
    return Line(one.at, one.by, max(one.to, other.to), united((*one.down, *other.down)), counts)


def rolled(lines: Iterable[Line], day: int) -> Line:
    """One line of all that was seen in a day.

    Args:
        lines: of that day, merged.
        day: when it began.
    """
    known = list(lines)
    spans = united(span for line in known for span in line.down)
    kept = sorted(sorted(spans, key=lambda span: span[0] - span[1])[:MOST_SPANS])
    counts = added(line.counts for line in known)
    if len(kept) < len(spans):
        counts[SCATTERED] = counts.get(SCATTERED, 0.0) + length(spans) - length(kept)
    return Line(day, "", max((line.to for line in known), default=float(day)), tuple(kept), counts)


def named(prefix: str, histogram: Histogram) -> dict[str, float]:
    """A histogram as counts."""
    return {f"{prefix}~{index}": count for index, count in histogram.items()}


def histogram(counts: Mapping[str, float], prefix: str) -> dict[int, float]:
    """The histogram that :func:`named` has put among the counts."""
    head = f"{prefix}~"
    return {int(name[len(head) :]): count for name, count in counts.items() if name.startswith(head)}


def below(counts: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The counts named ``prefix.something``, by that something."""
    head = f"{prefix}."
    return {name[len(head) :]: count for name, count in counts.items() if name.startswith(head)}


def written(line: Line) -> str:
    """A line as it is kept, with its end."""
    document = {
        "at": line.at,
        "by": line.by,
        "to": _short(line.to),
        "down": [[_short(begin), _short(end)] for begin, end in line.down],
        "n": {name: _short(value) for name, value in sorted(line.counts.items()) if value},
    }
    kept = {name: value for name, value in document.items() if name not in ("down", "n") or value}
    return json.dumps(kept, separators=(",", ":")) + "\n"


def read(text: str) -> list[Line]:
    """The lines of a file. One that was cut off, or is of another tree, is passed over."""
    return [line for raw in text.splitlines() if (line := _read(raw)) is not None]


def _read(raw: str) -> Line | None:
    try:
        document: dict[str, Any] = json.loads(raw)
        return Line(
            int(document["at"]),
            str(document["by"]),
            float(document["to"]),
            united((float(begin), float(end)) for begin, end in document.get("down", ())),
            {str(name): float(value) for name, value in document.get("n", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _short(value: float) -> float:
    """At most milliseconds, and whole numbers as such."""
    return int(value) if value == int(value) else round(value, 3)
