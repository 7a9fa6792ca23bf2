"""Names of write-ahead log segments: their order, what is missing between them, and timelines. Pure.

Source for the rules: https://www.postgresql.org/docs/17/wal-internals.html and, for timelines,
https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-TIMELINES
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# A segment is 16 MiB unless initdb was told otherwise; a log number counts 4 GiB.
SEGMENT_BYTES = 16 * 1024 * 1024
_PER_LOG = 0x1_0000_0000 // SEGMENT_BYTES
_NAME = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")


@dataclass(frozen=True, order=True)
class Segment:
    """One segment: ``number`` counts from the beginning of the log, whatever the timeline."""

    timeline: int
    number: int

    @classmethod
    def parse(cls, name: str) -> "Segment | None":
        """The segment with that file name; None where it is no segment's."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        timeline, log, rest = (int(part, 16) for part in found.groups())
        return cls(timeline, log * _PER_LOG + rest)

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"{self.timeline:08X}{self.number // _PER_LOG:08X}{self.number % _PER_LOG:08X}"


@dataclass(frozen=True)
class Chain:
    """What there is of the log from one segment on.

    Attributes:
        last: the newest segment that can be reached without a gap; None where not even the first is there.
        gaps: first and last segment of each stretch that is missing.
    """

    last: Segment | None
    gaps: tuple[tuple[Segment, Segment], ...]


def ancestors(history: str) -> dict[int, int]:
    """The timelines that one comes from, by its history file: parent, and the segment in which it was left."""
    found: dict[int, int] = {}
    for line in history.splitlines():
        fields = line.split("#", 1)[0].split()
        if len(fields) >= 2 and "/" in fields[1]:
            high, low = fields[1].split("/")
            found[int(fields[0])] = ((int(high, 16) << 32) | int(low, 16)) // SEGMENT_BYTES
    return found


def chain(
    present: Iterable[Segment],
    histories: Mapping[int, Mapping[int, int]],
    start: Segment,
    receiving: Iterable[Segment] = (),
) -> Chain:
    """Follow the log from ``start`` to its newest end.

    Args:
        present: every segment that is there.
        histories: by timeline, its :func:`ancestors`.
        start: where a base backup needs the log to begin.
        receiving: segments that are just being received: everything before the first of them has to be there.
    """
    there = set(present)
    newest = max(
        (timeline for timeline, parents in histories.items() if start.timeline in parents),
        default=start.timeline,
    )
    # Timelines on the way to the newest, each with the segment in which it begins.
    parents = histories.get(newest, {})
    begins = {start.timeline: start.number}
    way = [start.timeline, *(timeline for timeline in sorted(parents) if timeline > start.timeline)]
    if newest != start.timeline:
        way.append(newest)
    for before, after in itertools.pairwise(way):
        begins[after] = parents[before]
    first = min((segment.number for segment in receiving if segment.timeline == newest), default=None)
    put_away = [] if first is None else [first - 1]
    missing: list[Segment] = []
    last: Segment | None = None
    for position, timeline in enumerate(way):
        numbers = [segment.number for segment in there if segment.timeline == timeline]
        # Where a timeline was left, its child has the same segment, with what came before.
        end = (
            begins[way[position + 1]] - 1
            if position + 1 < len(way)
            else max([*numbers, *put_away], default=begins[timeline])
        )
        for number in range(begins[timeline], end + 1):
            segment = Segment(timeline, number)
            if segment not in there:
                missing.append(segment)
            elif not missing:
                last = segment
    return Chain(last, _stretches(missing))


def _stretches(missing: list[Segment]) -> tuple[tuple[Segment, Segment], ...]:
    found: list[tuple[Segment, Segment]] = []
    for segment in missing:
        if found and found[-1][1] == Segment(segment.timeline, segment.number - 1):
            found[-1] = (found[-1][0], segment)
        else:
            found.append((segment, segment))
    return tuple(found)
