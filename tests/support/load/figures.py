"""Figures over a log of requests. Pure: numbers in, numbers out. Times are seconds since the epoch."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .entry import Entry

SAID = 3
"""Answers of failed requests that are shown."""


@dataclass(frozen=True)
class Window:
    """A stretch of time."""

    start: float
    end: float

    def has(self, moment: float) -> bool:
        """Whether ``moment`` is within it."""
        return self.start <= moment <= self.end

    def touches(self, entry: Entry) -> bool:
        """Whether a request was under way within it."""
        return entry.start <= self.end and entry.end >= self.start


@dataclass(frozen=True)
class Figures:
    """What became of some requests; times in milliseconds. ``gap_ms`` is the longest in which not one was answered.

    ``said`` is what those that failed were told, some of it.
    """

    requests: int
    failed: int
    failures: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    wrong: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    slowest_ms: float | None = None
    gap_ms: float | None = None
    connections: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        why = "".join(f", {count} x {words}" for words, count in self.failures.items())
        why += f" ({' | '.join(self.said)})" if self.said else ""
        return (
            f"{self.requests} requests, {self.failed} failed{why}; p50 {_ms(self.p50_ms)}, p95 {_ms(self.p95_ms)}, "
            f"p99 {_ms(self.p99_ms)}, slowest {_ms(self.slowest_ms)}, longest gap {_ms(self.gap_ms)}, "
            f"{self.connections} new connections"
        )


def figures(entries: Iterable[Entry], windows: Sequence[Window] | None = None) -> Figures:
    """Figures over the requests under way in any of ``windows``; over all of them when there are no windows.

    The longest gap is looked for in each window by itself, from its start to its end: a release in whose last seconds
    nothing was answered has a gap, too.
    """
    ordered = sorted(entries, key=lambda entry: entry.end)
    if windows is None:
        windows = [Window(ordered[0].start, ordered[-1].end)] if ordered else []
    chosen = [entry for entry in ordered if any(window.touches(entry) for window in windows)]
    good = sorted(entry.ms for entry in chosen if entry.ok)
    bad = [entry for entry in chosen if not entry.ok]
    return Figures(
        requests=len(chosen),
        failed=len(bad),
        failures=dict(Counter(entry.error or f"HTTP {entry.status}" for entry in bad).most_common()),
        said=sorted({entry.reply for entry in bad if entry.reply})[:SAID],
        wrong=sum(not entry.right for entry in chosen),
        p50_ms=percentile(good, 0.5),
        p95_ms=percentile(good, 0.95),
        p99_ms=percentile(good, 0.99),
        slowest_ms=percentile(good, 1),
        gap_ms=max((longest_gap(ordered, window) for window in windows), default=None),
        connections=sum(entry.connection == "new" for entry in chosen),
    )


def outside(entries: Sequence[Entry], windows: Sequence[Window]) -> list[Window]:
    """What is left of the log's time between ``windows``: the load at rest."""
    if not entries:
        return []
    ends = max(entry.end for entry in entries)
    rest, begins = [], min(entry.start for entry in entries)
    for window in sorted(windows, key=lambda window: window.start):
        if window.start > begins:
            rest.append(Window(begins, window.start))
        begins = max(begins, window.end)
    return [*rest, Window(begins, ends)] if ends > begins else rest


def around(
    entries: Iterable[Entry], moments: Sequence[float], before: float, after: float, width: float
) -> list[tuple[float, float | None, float | None, float | None]]:
    """What requests took before and after certain moments, laid over one another.

    Args:
        entries: all requests.
        moments: seconds since the epoch.
        before, after: seconds.
        width: seconds of a stretch.

    Returns:
        For each stretch: its start, seconds from the moment, and p50, p95 and the slowest of the requests that began
        within it; None where nobody asked.
    """
    buckets: list[list[float]] = [[] for _ in range(round((before + after) / width))]
    for entry in entries:
        for moment in moments:
            index = int((entry.start - moment + before) // width)
            if 0 <= index < len(buckets) and entry.ok:
                buckets[index].append(entry.ms)
    return [
        (
            round(number * width - before, 3),
            percentile(ordered, 0.5),
            percentile(ordered, 0.95),
            percentile(ordered, 1),
        )
        for number, ordered in enumerate(map(sorted, buckets))
    ]


def percentile(ordered: Sequence[float], part: float) -> float | None:
    """The smallest of some sorted numbers that is at least as large as ``part`` of them (nearest rank)."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(part * len(ordered)) - 1)], 1)


def longest_gap(entries: Iterable[Entry], window: Window) -> float:
    """Milliseconds: the longest time within ``window`` in which no request was answered."""
    ends = sorted(entry.end for entry in entries if entry.ok and window.has(entry.end))
    moments = [window.start, *ends, window.end]
    return round(max(later - earlier for earlier, later in itertools.pairwise(moments)) * 1000, 1)


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.0f} ms"
