"""The release lock: one flock, held by a living process, with its owner written beside it.

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


class LockHeld(Exception):
    """Somebody else holds the lock; ``owner`` says who, since when and doing what."""

    def __init__(self, owner: dict[str, Any]) -> None:
        self.owner = owner
        super().__init__(
            f"{owner.get('doing', 'another operation')} by {owner.get('by', 'unknown')} (pid {owner.get('pid', '?')}) "
            f"holds the release lock since {owner.get('since', '?')}; wait for it, or see deploy.status"
        )


@contextmanager
def release_lock(path: Path, by: str, doing: str) -> Iterator[None]:
    """Hold the release lock for the duration of the block.

    Args:
        path: the lock file; created when missing.
        by: who asks, for the message that others see.
        doing: what for, likewise.

    Raises:
        LockHeld: a living process has it.
    """
    make_directory(path.parent)
    # close-on-exec is Python's default: no child process keeps the lock alive after we are gone.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _acquire(descriptor):
            raise LockHeld(_owner(descriptor))
        note = {
            "by": by,
            "doing": doing,
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> dict[str, Any] | None:
    """The owner's note while the lock is held; None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _acquire(descriptor: int) -> bool:
    # Somebody who only looks (lock_holder) has the lock for some microseconds; that must not refuse a release.
    for pause in (0.02, 0.05, 0.1, 0.0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def _owner(descriptor: int) -> dict[str, Any]:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
