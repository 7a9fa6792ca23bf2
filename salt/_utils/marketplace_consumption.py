"""What the machine and its services use of processors, memory and disks, by the kernel's own count."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from marketplace_pressure import usage


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
        group = _Files(_init_group(proc), groups)
        facts = _facts(proc / "meminfo")
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
    found = usage(pid, proc, groups)
    if found is None:
        return None
    try:
        spent = _Files(_paths(proc / str(pid) / "cgroup"), groups).cpu()
    except (OSError, ValueError, KeyError):
        return None
    return Group(spent, cpus, found.memory, found.memory_limit)


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


class _Files:
    """A control group's files, of version 1 or 2."""

    def __init__(self, paths: Mapping[str, str], groups: Path) -> None:
        self._first = "cpuacct" in paths
        self._paths, self._groups = paths, groups

    def cpu(self) -> float:
        if self._first:
            return int(self._of("cpuacct", "cpuacct.usage").read_text()) / 1e9
        return _facts(self._of("", "cpu.stat"))["usage_usec"] / 1e6

    def memory(self) -> int:
        facts = _facts(self._of("memory" if self._first else "", "memory.stat"))
        return facts["total_rss"] + facts["total_shmem"] if self._first else facts["anon"] + facts["shmem"]

    def memory_limit(self) -> int | None:
        """None where there is none: the file is missing in the machine's own group, which has no limit."""
        name = ("memory", "memory.limit_in_bytes") if self._first else ("", "memory.max")
        try:
            text = self._of(*name).read_text().strip()
        except FileNotFoundError:
            return None
        return None if text == "max" else int(text)

    def cpu_limit(self) -> float | None:
        try:
            if self._first:
                quota = int(self._of("cpu", "cpu.cfs_quota_us").read_text())
                period = int(self._of("cpu", "cpu.cfs_period_us").read_text())
                return quota / period if quota > 0 else None
            words = self._of("", "cpu.max").read_text().split()
        except FileNotFoundError:
            return None
        return None if words[0] == "max" else int(words[0]) / int(words[1])

    def _of(self, controller: str, name: str) -> Path:
        return self._groups / controller / self._paths[controller].lstrip("/") / name


def _paths(file: Path) -> dict[str, str]:
    """A process's groups by controller; the one of version 2 has none, and is ``""``."""
    split = [line.split(":", 2) for line in file.read_text().splitlines()]
    return {name: path for _, names, path in split for name in names.split(",")}


def _init_group(proc: Path) -> dict[str, str]:
    """The groups that hold everything on this machine: those of the first process, or what systemd made them in."""
    found = _paths(proc / "1/cgroup")
    return {name: path.removesuffix("/init.scope") or "/" for name, path in found.items()}


def _facts(file: Path) -> dict[str, int]:
    rows = (line.replace(":", " ").split() for line in file.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2}
