"""Locks, of releases, backups and whatever else one at a time does: one flock each, held by a living process, with its
owner written beside it.

The kernel drops the lock when its holder dies, however it dies, so a dead owner never blocks. The owner's note is
for people only: it says who holds the lock and since when, and is believed only while the lock is really held.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_durable import make_directory

# How often somebody who waits for the lock looks.
LOOK_SECONDS = 0.2
# Of who has the lock and could not write down who they are.
UNKNOWN = {"by": "somebody", "doing": "something"}
_ADVICE = "wait for it (wait=SECONDS), or see deploy.status"


class LockHeld(Exception):
    """Somebody else holds the lock; ``owner`` says who, since when and doing what, ``step`` how far that is."""

    def __init__(
        self,
        owner: dict[str, Any],
        step: str = "",
        waited: float = 0.0,
        lock: str = "release",
        advice: str = _ADVICE,
    ) -> None:
        self.owner = owner
        at = f", now at step {step}" if step else ""
        patience = f" (waited {waited:.0f} s)" if waited else ""
        super().__init__(
            f"{owner.get('doing', 'another operation')} by {owner.get('by', 'unknown')} (pid {owner.get('pid', '?')}) "
            f"holds the {lock} lock since {owner.get('since', '?')}{at}{patience}; {advice}"
        )


class Lock:
    """A lock in the file ``path``, which is created when missing.

    Args:
        path: the file.
        name: what is locked, for the message that others see.
        advice: what they can do, likewise.
    """

    def __init__(self, path: Path, name: str = "release", advice: str = _ADVICE) -> None:
        self.path = path
        self.name, self.advice = name, advice

    @contextmanager
    def held(self, by: str, doing: str, wait: float = 0.0) -> Iterator[None]:
        """Hold the lock for the duration of the block.

        Args:
            by: who asks, for the message that others see.
            doing: what for, likewise.
            wait: seconds to wait for somebody who has it.

        Raises:
            LockHeld: a living process has it.
        """
        make_directory(self.path.parent)
        # close-on-exec is Python's default: no child process keeps the lock alive after we are gone.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _acquire(descriptor, wait):
                raise LockHeld(_owner(descriptor), waited=wait, lock=self.name, advice=self.advice)
            note = {
                "by": by,
                "doing": doing,
                "pid": os.getpid(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            _write(descriptor, json.dumps(note).encode())
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> dict[str, Any] | None:
        """The owner's note while the lock is held, which is never empty; None when it is free."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _owner(descriptor) or UNKNOWN
        else:
            return None
        finally:
            os.close(descriptor)

    def refusal(self) -> LockHeld | None:
        """What :meth:`held` would refuse with just now; None while it is free. Reads only."""
        owner = self.holder()
        return None if owner is None else LockHeld(owner, lock=self.name, advice=self.advice)


def _write(descriptor: int, note: bytes) -> None:
    """A disk that is full keeps nobody from having the lock, only others from being told who has it."""
    try:
        # Over the note of before: emptied first, the file would need a block that a full disk does not have.
        os.pwrite(descriptor, note, 0)
        os.ftruncate(descriptor, len(note))
    except OSError:
        os.ftruncate(descriptor, 0)


def _acquire(descriptor: int, wait: float) -> bool:
    # Somebody who only looks (holder) has the lock for some microseconds; that must not refuse a release.
    deadline = time.monotonic() + max(wait, 0.2)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS if wait else 0.02)
        else:
            return True


def _owner(descriptor: int) -> dict[str, Any]:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
