"""What the kernel counts and allows of a control group's processes, in version 1 or 2 of them."""

from collections.abc import Mapping
from pathlib import Path

# No limit: version 1 says so by a number that no memory has.
_UNLIMITED = 1 << 60


class ControlGroup:
    """A group, by the files of its controllers.

    Whoever asks meets OSError, ValueError or KeyError where the kernel does not tell.

    Args:
        paths: by controller, below ``groups``; the one of version 2 has none, and is ``""``.
        groups: where the kernel shows them.
    """

    def __init__(self, paths: Mapping[str, str], groups: Path) -> None:
        self._first = "memory" in paths
        self._paths, self._groups = paths, groups

    @classmethod
    def of_process(cls, pid: int, proc: Path, groups: Path) -> "ControlGroup":
        """A process's own."""
        return cls(paths_of(pid, proc), groups)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        if self._first:
            return int(self._of("cpuacct", "cpuacct.usage").read_text()) / 1e9
        return pairs(self._of("", "cpu.stat"))["usage_usec"] / 1e6

    def cpu_limit(self) -> float | None:
        """How many processors it may use; None where nothing limits that."""
        try:
            if self._first:
                quota = int(self._of("cpu", "cpu.cfs_quota_us").read_text())
                period = int(self._of("cpu", "cpu.cfs_period_us").read_text())
                return quota / period if quota > 0 else None
            words = self._of("", "cpu.max").read_text().split()
        except FileNotFoundError:
            return None
        return None if words[0] == "max" else int(words[0]) / int(words[1])

    def memory(self) -> int:
        """Bytes that the kernel cannot drop: not the cache of files, which fills whatever it is given."""
        counted = pairs(self._memory("memory.stat", "memory.stat"))
        if self._first:
            return counted["total_rss"] + counted["total_shmem"]
        return counted["anon"] + counted["shmem"]

    def memory_limit(self) -> int | None:
        """Bytes; None where there is no limit, as in the machine's own group, where the file is missing."""
        try:
            return _limit(self._memory("memory.limit_in_bytes", "memory.max"))
        except FileNotFoundError:
            return None

    def kills(self) -> int:
        """How often the kernel killed something in it for its memory limit."""
        return pairs(self._memory("memory.oom_control", "memory.events")).get("oom_kill", 0)

    def processes(self) -> int:
        """How many there are."""
        return int(self._of(self._controller("pids"), "pids.current").read_text())

    def process_limit(self) -> int | None:
        """How many there may be; None where nothing limits that."""
        return _limit(self._of(self._controller("pids"), "pids.max"))

    def _memory(self, first: str, second: str) -> Path:
        return self._of(self._controller("memory"), first if self._first else second)

    def _controller(self, name: str) -> str:
        return name if self._first else ""

    def _of(self, controller: str, name: str) -> Path:
        return self._groups / controller / self._paths[controller].lstrip("/") / name


def paths_of(pid: int, proc: Path) -> dict[str, str]:
    """A process's groups by controller; the one of version 2 has none, and is ``""``."""
    split = [line.split(":", 2) for line in (proc / str(pid) / "cgroup").read_text().splitlines()]
    return {name: path for _, names, path in split for name in names.split(",")}


def pairs(file: Path) -> dict[str, int]:
    """A file of names and numbers, with or without a colon and a unit."""
    rows = (line.replace(":", " ").split() for line in file.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2}


def _limit(file: Path) -> int | None:
    text = file.read_text().strip()
    return None if text == "max" or int(text) >= _UNLIMITED else int(text)
