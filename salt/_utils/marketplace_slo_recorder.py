"""The watchdog's part in the record: takes in what was seen, and writes a line for each minute that is over."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from marketplace_conditions import Finding
from marketplace_slo_budget import LONGEST, burnt
from marketplace_slo_files import Record
from marketplace_slo_gap import Gap
from marketplace_slo_lines import (
    DAY,
    GOOD,
    MINUTE,
    PLANNED,
    PROBES,
    UP,
    Line,
    Span,
    added,
    clipped,
    pieces,
    united,
)
from marketplace_slo_probe import Probe

# A probe stands for the time since the one before it, but for no more than this: then nobody looked.
STANDS_FOR = 25.0
# Minutes that wait where nothing can be written.
_MOST_WAITING = 1440


class Recorder:
    """Adds to a record.

    Args:
        record: where it is kept.
        machine: which one this is.
        now: since when this one records, in seconds since 1970.
    """

    def __init__(self, record: Record, machine: str, now: float) -> None:
        self._record = record
        self._by = f"{machine}-{int(now)}"
        self._open: dict[int, Line] = {}
        self._reachable, self._trouble = True, ""
        try:
            last, self._down = record.last(now), record.down(now - LONGEST)
        except OSError as error:  # There is more to watch than this.
            print(f"how well the bot was reached can't be read: {error}", flush=True)
            last, self._down = None, ()
        self._covered = last.to if last else None
        self._same = last is None or last.by.startswith(f"{machine}-")

    def probed(self, probe: Probe, planned: bool, gap: Callable[[float, float, bool], Gap]) -> None:
        """Take in a probe.

        Args:
            planned: whether the edge is closed on purpose.
            gap: tells what is known of a time in which nobody looked, and that this machine was (or was not) the one
                that was watched before.
        """
        if self._covered is None and not probe.good:
            return  # Nobody misses what has never been there.
        since = min(probe.at if self._covered is None else self._covered, probe.at)
        if probe.at - since > STANDS_FOR:
            self._lost(gap(since, probe.at, self._same).down())
            since = probe.at
        self._covered, self._same = probe.at, True
        for at, span in pieces(since, probe.at, MINUTE):
            seconds = span[1] - span[0]
            if probe.good:
                self._add(at, span[1], counts={UP: seconds})
            elif planned:
                self._add(at, span[1], counts={PLANNED: seconds})
            else:
                self._add(at, span[1], down=[span])
        self.note({PROBES: 1, GOOD: int(probe.good)}, probe.at)
        if probe.good != self._reachable and not planned:
            print(
                f"the bot can't be reached: {probe.words}" if probe.words else "the bot can be reached",
                flush=True,
            )
            self._reachable = probe.good

    def note(self, counts: Mapping[str, float], now: float) -> None:
        """Take in what else there is to count."""
        if counts and self._covered is not None:
            self._add(int(now // MINUTE) * MINUTE, self._covered, counts=counts)

    def turn(self, now: float) -> None:
        """Write what is over."""
        # The probe that stands for a minute's end comes in the next one, or not at all.
        over = max(self._covered or 0.0, now - 2 * STANDS_FOR)
        self._write([at for at in sorted(self._open) if at + MINUTE <= over])

    def stop(self) -> None:
        """Write all there is."""
        self._write(sorted(self._open))

    def findings(self, now: float, goal: float) -> Iterator[Finding]:
        """That the budget is being used up too fast; ``goal`` in percent."""
        return burnt(self._down, now, goal)

    def _lost(self, spans: Iterable[Span]) -> None:
        for span in spans:
            for _, piece in pieces(*span, DAY):
                self._add(int(piece[0] // MINUTE) * MINUTE, piece[1], down=[piece])

    def _add(
        self, at: int, to: float, down: Iterable[Span] = (), counts: Mapping[str, float] | None = None
    ) -> None:
        known = self._open.get(at) or Line(at, self._by, to)
        spans = tuple(down)
        self._open[at] = Line(
            at,
            self._by,
            max(known.to, to),
            united((*known.down, *spans)),
            added((known.counts, counts or {})),
        )
        if spans:
            self._down = clipped((*self._down, *spans), to - LONGEST, to)

    def _write(self, minutes: list[int]) -> None:
        trouble = ""
        for at in minutes:
            try:
                self._record.append(self._open[at])
            except OSError as error:
                trouble = f"how well the bot is reached can't be written down: {error}"
                break
            del self._open[at]
        for at in sorted(self._open)[:-_MOST_WAITING]:
            del self._open[at]
        if trouble != self._trouble and trouble:
            print(trouble, flush=True)
        self._trouble = trouble
