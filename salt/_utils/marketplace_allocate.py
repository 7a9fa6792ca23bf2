"""Files whose blocks are all reserved, so that what is written into them later never finds the disk full."""

import os
from pathlib import Path


def allocated(file: Path) -> int:
    """Bytes of disk that a file takes; 0 where there is none."""
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def check_room(file: Path, size: int, held: int) -> None:
    """See to it that a file can be made as large as that.

    Args:
        file: it; only its directory has to be there.
        size: bytes that it is to take.
        held: bytes of them that need no room any more: those that it takes already, or that go before it is made.

    Raises:
        OSError: there is too little room.
    """
    room = os.statvfs(file.parent)
    free = room.f_bavail * room.f_frsize
    if size - held > free:
        raise OSError(
            f"{file} needs {size - held} more bytes but only {free} are free in {file.parent}. "
            "Make room, or ask for less in pillar."
        )


def allocate(file: Path, size: int) -> None:
    """Reserve the blocks of a file up to ``size`` bytes; it is made where there is none, and never cut.

    Raises:
        OSError: there is too little room, and nothing was reserved.
    """
    check_room(file, size, allocated(file))
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, max(size, os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
