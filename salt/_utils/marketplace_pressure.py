"""How near a service is to its limits: memory and processes by the kernel's own count, and its disk."""

from dataclasses import dataclass
from pathlib import Path

from marketplace_control_group import ControlGroup

# From these shares on somebody has to hear of it.
MEMORY_SHARE, PROCESS_SHARE, DISK_SHARE = 0.95, 0.9, 0.9


@dataclass(frozen=True)
class Usage:
    """What a container uses of its limits; a limit is None where there is none.

    Attributes:
        memory: bytes that the kernel cannot drop: not the cache of files, which fills whatever it is given.
        kills: how often the kernel killed something in it for its memory limit.
    """

    memory: int
    memory_limit: int | None
    processes: int
    process_limit: int | None
    kills: int


def usage(pid: int, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> Usage | None:
    """What the container uses whose first process is ``pid``; None where the kernel does not tell."""
    try:
        group = ControlGroup.of_process(pid, proc, groups)
        return Usage(
            group.memory(), group.memory_limit(), group.processes(), group.process_limit(), group.kills()
        )
    except (OSError, ValueError, KeyError):
        return None


def near_limit(found: Usage | None, disk: tuple[int, int] | None) -> str | None:
    """What a service is about to run out of, in words; None where nothing is near.

    Args:
        disk: bytes free and in all of the service's file system; None where it has none of its own.
    """
    words = []
    if found is not None and found.memory_limit and found.memory >= MEMORY_SHARE * found.memory_limit:
        words.append(f"it uses {found.memory * 100 // found.memory_limit}% of its memory limit")
    if found is not None and found.process_limit and found.processes >= PROCESS_SHARE * found.process_limit:
        words.append(f"it has {found.processes} of {found.process_limit} processes")
    if disk is not None and disk[1] and disk[1] - disk[0] >= DISK_SHARE * disk[1]:
        words.append(f"its disk is {(disk[1] - disk[0]) * 100 // disk[1]}% full")
    return "; ".join(words) or None
