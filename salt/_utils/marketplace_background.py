"""Work that nobody waits for, and that takes of the processors what users leave of them."""

import contextlib
import os
import subprocess
from pathlib import Path

SLICE = "background.slice"
# A part of it with a limit, for what has all night: somebody who types a command waits for it.
NIGHTLY = "background-nightly.slice"
# There where systemd is what runs the host: sd_booted(3).
_BOOTED = Path("/run/systemd/system")


def background_processors() -> set[int]:
    """Processors that work in the background may use: all but the first, so that a request finds one without it."""
    # Of the host as a whole: who has stood back already has one less.
    first, *others = sorted(os.sched_getaffinity(1))
    return set(others or [first])


def own_slice(groups: Path = Path("/proc/self/cgroup")) -> str:
    """The slice for what this process has systemd start: the one that it is in itself.

    Args:
        groups: where the kernel says what it is in.
    """
    return NIGHTLY if f"/{NIGHTLY}/" in groups.read_text() else SLICE


def stand_back(name: str, slice_: str = SLICE) -> None:
    """Put this process, and whatever it starts from now on, in a slice of the background, and off the first processor.

    To be nice does not do: each unit and each container has a share of the processors, and what is nice competes with
    what is in its own alone (cgroups(7), and "Resource distribution" in the kernel's cgroup-v2.rst). Where systemd does
    not run or refuses, all goes on as it is.

    Args:
        name: of the scope; the process's number is added to it.
        slice_: the slice.
    """
    if not _BOOTED.is_dir() or os.geteuid() != 0:
        return
    process = str(os.getpid())
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    properties = ["PIDs", "au", "1", process, "Slice", "s", slice_]
    start = [
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        f"{name}-{process}.scope",
        "fail",
        "2",
        *properties,
        "0",
    ]
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, background_processors())
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["busctl", "call", *manager, *start], capture_output=True, timeout=10, check=False)
