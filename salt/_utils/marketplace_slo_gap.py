"""What became of the time in which nobody looked: the bot could not be reached while the droplet was off. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from marketplace_slo_lines import Span, clipped


@dataclass(frozen=True)
class Gap:
    """A time in which nobody looked, and what is known of it.

    Attributes:
        since, until: from when to when, in seconds since 1970.
        booted: when the droplet was started last.
        alive: the last sign of life from before that, as far as there is one.
        closed: when the edge did not run.
    """

    since: float
    until: float
    booted: float
    alive: float | None = None
    closed: tuple[Span, ...] = ()

    def down(self) -> tuple[Span, ...]:
        """When the bot could not be reached for certain; what else there is of the gap stays unknown.

        Where the droplet was started meanwhile, that is all the time from its last sign of life until somebody looked
        again: it can't be told how early the bot was back. Without a sign of life it is all of the gap.
        """
        spans = list(self.closed)
        if self.booted > self.since:
            spans.append((self.since if self.alive is None else self.alive, self.until))
        return clipped(spans, self.since, self.until)


def stops(events: Iterable[tuple[float, bool]], until: float) -> tuple[Span, ...]:
    """When a unit did not run.

    Args:
        events: when it was started (True) or ended (False), in order.
        until: the end of one that has not begun to run again.
    """
    found: list[Span] = []
    ended: float | None = None
    for at, runs in events:
        if runs and ended is not None:
            found.append((ended, at))
            ended = None
        elif not runs and ended is None:
            ended = at
    return tuple(found) if ended is None else (*found, (ended, until))
