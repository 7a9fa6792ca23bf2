"""Tests of several processes on one machine, some of which have to have it to themselves: for what they measure."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(place: Path, alone: bool) -> Iterator[None]:
    """Run the block beside others, or ``alone``: those under way end first, and none begins before it has ended.

    Args:
        place: a directory that all of them know, where the locks are.
    """
    # Whoever waits holds the door, so that nobody who comes later gets in first.
    with (place / "door").open("w") as door, (place / "room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
