"""The release lock in memory: free as soon as the process that holds it is gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from marketplace_lock import LOOK_SECONDS, Lock, LockHeld

from tests.simulation.clock import SimClock
from tests.simulation.gate import Gate


class SimLock(Lock):
    """One lock, its holder's note, and who holds it."""

    def __init__(self, path: Path, gate: Gate, clock: SimClock) -> None:
        super().__init__(path)
        self.gate = gate
        self.clock = clock
        self.owner: dict[str, Any] | None = None

    @contextmanager
    def held(self, by: str, doing: str, wait: float = 0.0) -> Iterator[None]:
        self.gate.look("lock take")
        deadline = self.clock.seconds + wait
        while self.owner is not None:
            if self.clock.seconds >= deadline:
                raise LockHeld(self.owner, waited=wait)
            self.clock.let_pass(LOOK_SECONDS)
            self.gate.look("lock look")
        since = self.clock.time().isoformat(timespec="seconds")
        self.owner = {"by": by, "doing": doing, "pid": 4711, "since": since}
        try:
            yield
        finally:
            self.owner = None  # the kernel does it, whether the process still can or not

    def holder(self) -> dict[str, Any] | None:
        self.gate.look("lock look")
        return self.owner
