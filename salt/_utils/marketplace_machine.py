"""The machine as it is, and whether it is what the settings say was bought."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_allocate import allocated
from marketplace_managed import ours
from marketplace_paths import Paths
from marketplace_units import format_size

# The kernel and the provider keep some of what is sold.
_SLACK = 0.92
_CGROUP_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Machine:
    """What there is.

    Args:
        memory: bytes.
        cpus: virtual CPUs; None where that can't be told.
        free: bytes that are free where volumes and swap file are allocated.
        held: bytes already allocated, by setting.
    """

    memory: int
    cpus: int | None
    free: int
    held: Mapping[str, int]


def shortfalls(machine: Machine, settings: Mapping[str, Any]) -> list[str]:
    """One sentence for each way in which ``machine`` is smaller than plain ``settings`` say; more is never wrong."""
    droplet, found = settings["droplet"], []
    if machine.memory < droplet["memory"] * _SLACK:
        found.append(
            f"droplet.memory is {format_size(droplet['memory'])}, but this machine has {format_size(machine.memory)}:"
            " set what it has, or resize it"
        )
    if machine.cpus is not None and machine.cpus < droplet["cpus"]:
        found.append(
            f"droplet.cpus is {droplet['cpus']}, but this machine has {machine.cpus}: set what it has, or resize it"
        )
    # What is on a block volume takes nothing of the droplet's own disk.
    images = [name for name in (*ours(settings), "backup") if not settings[name]["device"]]
    wanted = {**{f"{name}.disk": settings[name]["disk"] for name in images}, "droplet.swap": droplet["swap"]}
    missing = {path: max(0, size - machine.held.get(path, 0)) for path, size in wanted.items()}
    if sum(missing.values()) > machine.free:
        listed = " + ".join(f"{path} {format_size(size)}" for path, size in missing.items() if size)
        found.append(
            f"still to be allocated are {listed} = {format_size(sum(missing.values()))}, but only"
            f" {format_size(machine.free)} are free in /var: ask for less, or make room"
        )
    return found


def look(root: Path) -> Machine | None:
    """The machine whose files are below ``root``; None where that is no machine's root (it has no /proc)."""
    try:
        total = _memory(root)
    except FileNotFoundError:
        return None
    paths = Paths(root)
    files = {
        "postgres.disk": paths.state / "volumes/postgres.img",
        "redis.disk": paths.state / "volumes/redis.img",
        "backup.disk": paths.state / "volumes/backup.img",
        "droplet.swap": root / "var/swapfile",
    }
    place = paths.state / "volumes"
    while not place.exists():
        place = place.parent
    room = os.statvfs(place)
    return Machine(
        total,
        _cpus(root),
        room.f_bavail * room.f_frsize,
        # What a killed run left unfinished is removed before anything is allocated.
        {path: allocated(file) + allocated(Path(f"{file}.unfinished")) for path, file in files.items()},
    )


def _memory(root: Path) -> int:
    """Bytes of memory; in a container its limit, where that is lower."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    for name in _CGROUP_LIMITS:
        try:
            limit = (root / name).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            found.append(int(limit))
    return min(found)


def _cpus(root: Path) -> int | None:
    """CPUs that are online, from a list of numbers and ranges such as ``0-3,6``."""
    try:
        text = (root / "sys/devices/system/cpu/online").read_text().strip()
        ends = [part.split("-") for part in text.split(",")]
        return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
    except (OSError, ValueError):
        return None
