"""What the machine and its services use of processors, memory and disks, by the kernel's own count."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from marketplace_control_group import ControlGroup, pairs, paths_of


@dataclass(frozen=True)
class Group:
    """What one service, or the whole machine, has used so far.

    Attributes:
        cpu: seconds of processor time since it began; cpus: how many processors it may use.
        memory: bytes that the kernel cannot drop; limit: how many there may be. None where there is no limit.
    """

    cpu: float
    cpus: float
    memory: int
    limit: int | None


def machine(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> Group | None:
    """The machine as a whole; None where the kernel does not tell.

    Where the machine is itself a group of a larger one, its group counts and not what /proc says of the larger one.
    """
    try:
        group = ControlGroup(_init_group(proc), groups)
        facts = pairs(proc / "meminfo")
        total, free = facts["MemTotal"] * 1024, facts["MemAvailable"] * 1024
        cpus = float(os.sysconf("SC_NPROCESSORS_ONLN"))
        limit = group.memory_limit()
        allowed = group.cpu_limit()
        memory, most = (total - free, total) if limit is None or limit >= total else (group.memory(), limit)
        return Group(group.cpu(), min(cpus, allowed or cpus), memory, most)
    except (OSError, ValueError, KeyError):
        return None


def service(
    pid: int, cpus: float, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> Group | None:
    """The container whose first process is ``pid`` and that may use so many ``cpus``; None where that is gone."""
    try:
        group = ControlGroup.of_process(pid, proc, groups)
        return Group(group.cpu(), cpus, group.memory(), group.memory_limit())
    except (OSError, ValueError, KeyError):
        return None


def disks(places: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
    """Bytes used and in all of each file system that is mounted at one of ``places``; others are left out."""
    found = {}
    for name, path in places.items():
        try:
            if path.is_mount():
                room = os.statvfs(path)
                found[name] = (
                    (room.f_blocks - room.f_bfree) * room.f_frsize,
                    (room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize,
                )
        except OSError:
            continue
    return found


def _init_group(proc: Path) -> dict[str, str]:
    """The groups that hold everything on this machine: those of the first process, or what systemd made them in."""
    return {name: path.removesuffix("/init.scope") or "/" for name, path in paths_of(1, proc).items()}
