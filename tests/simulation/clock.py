"""Time that passes only while somebody waits or something takes its time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from marketplace_clock import Clock

from tests.simulation.stage import Stage

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class SimClock(Clock):
    """``seconds`` since the droplet's beginning; ``skew``: how far the clock on the wall is off.

    Args:
        look: what stands between two looks of somebody who waits.
    """

    def __init__(self, stage: Stage, look: Callable[[], None]) -> None:
        self.stage = stage
        self.seconds = 0.0
        self.skew = 0.0
        self._look = look

    def time(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds + self.skew)

    def now(self) -> datetime:
        return self.time()

    def monotonic(self) -> float:
        return self.seconds

    def let_pass(self, seconds: float) -> None:
        """Somebody waits: time passes, unless somebody else has it pass."""
        if self.stage.pause():
            self.seconds += seconds

    def wait_until(self, condition: Callable[[], bool], timeout: float, interval: float = 0.2) -> bool:
        deadline = self.seconds + timeout
        while not condition():
            if self.seconds >= deadline:
                return False
            self._look()
            self.let_pass(interval)
        return True
