"""Seconds that can run faster than the wall's, so that tests of hours take moments."""

import asyncio
import time


class Clock:
    """Virtual seconds, `factor` times as fast as real ones. The factor may change while somebody sleeps."""

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor
        self._virtual = 0.0
        self._real = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def factor(self) -> float:
        return self._factor

    def now(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._virtual + (time.monotonic() - self._real) * self._factor

    def set_factor(self, factor: float) -> None:
        """Run `factor` times as fast from now on. Raises ValueError unless it is above zero."""
        if not factor > 0:
            raise ValueError(f"the factor must be above zero, not {factor}")
        self._restart(self.now())
        self._factor = factor

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once. Raises ValueError for a negative number."""
        if not seconds >= 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        self._restart(self.now() + seconds)

    def _restart(self, now: float) -> None:
        self._virtual, self._real = now, time.monotonic()
        self._changed.set()
        self._changed = asyncio.Event()

    def real(self, seconds: float) -> float:
        """How many real seconds `seconds` virtual ones take at the present factor."""
        return seconds / self._factor

    async def sleep_until(self, moment: float) -> None:
        while (left := moment - self.now()) > 0:
            try:
                async with asyncio.timeout(self.real(left)):
                    await self._changed.wait()
            except TimeoutError:
                pass
