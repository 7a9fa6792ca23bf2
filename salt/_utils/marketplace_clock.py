"""Time, and waiting: what the logic asks for instead of asking the machine, so that a test can give it another."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Time, and waiting for a condition."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def wait_until(self, condition: Callable[[], bool], timeout: float, interval: float = 0.2) -> bool:
        """Ask ``condition`` every ``interval`` seconds, ``timeout`` seconds long; whether it came true."""
        deadline = self.monotonic() + timeout
        while not condition():
            if self.monotonic() >= deadline:
                return False
            time.sleep(interval)
        return True
