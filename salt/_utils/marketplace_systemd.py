"""What systemd says about a unit, and the unit files that this tree writes by code."""

import os
import string
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from marketplace_sandbox import SWAP

# No --property=LoadState for a unit alone tells whether it runs with what is on disk: these four together do.
SHOW = ("LoadState", "ActiveState", "NeedDaemonReload", "ActiveEnterTimestampMonotonic")


@dataclass(frozen=True)
class Unit:
    """The facts of ``systemctl show``; ``started`` is seconds on the monotonic clock, None when it never ran."""

    loaded: bool
    active: bool
    needs_reload: bool
    started: float | None

    @classmethod
    def parse(cls, text: str) -> "Unit":
        """Read ``systemctl show --property=...`` output (``key=value`` lines; keys that are missing count as empty)."""
        pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        microseconds = pairs.get("ActiveEnterTimestampMonotonic", "0") or "0"
        return cls(
            loaded=pairs.get("LoadState") == "loaded",
            active=pairs.get("ActiveState") in ("active", "reloading"),
            needs_reload=pairs.get("NeedDaemonReload") == "yes",
            started=int(microseconds) / 1e6 if microseconds != "0" else None,
        )

    def older_than(self, changed: float, realtime: float, monotonic: float) -> bool:
        """Whether the unit was started before ``changed``.

        Args:
            changed: when its configuration was written, seconds since the epoch.
            realtime: now, seconds since the epoch.
            monotonic: now, on the monotonic clock (the two nows relate one clock to the other).
        """
        if not self.active or self.started is None:
            return False
        return realtime - (monotonic - self.started) < changed


def forgive_future(files: Iterable[str | Path]) -> None:
    """Date files now that were written while the clock was ahead: they would look newer than every start and reload.

    Args:
        files: those that there are; others are passed over.
    """
    now = time.time()
    for file in map(Path, files):
        if file.exists() and file.stat().st_mtime > now:
            os.utime(file)


def escape_path(path: str) -> str:
    """The name systemd gives to a path: ``/srv/my-data`` becomes ``srv-my\\x2ddata``.

    Raises:
        ValueError: the path is not absolute, or is the root.
    """
    trimmed = path.strip("/")
    if not path.startswith("/") or not trimmed:
        raise ValueError(f"{path!r} cannot be a unit's path: expected an absolute path such as /srv/data")
    allowed = string.ascii_letters + string.digits + ":_."

    def escape(character: str, first: bool) -> str:
        if character == "/":
            return "-"
        if character in allowed and not (first and character == "."):
            return character
        return "".join(f"\\x{byte:02x}" for byte in character.encode())

    return "".join(escape(character, position == 0) for position, character in enumerate(trimmed))


def mount_unit(path: str, image: str, options: str) -> str:
    """The mount unit that mounts the ext4 file system in the file ``image`` at ``path``."""
    return (
        f"[Unit]\nDescription=Fixed-size file system at {path}\n\n"
        f"[Mount]\nWhat={image}\nWhere={path}\nType=ext4\nOptions={options}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )


def swap_service(path: str) -> str:
    """The service that puts the swap file at ``path`` to use.

    A service and not a swap unit: systemd refuses those on some kinds of machines, and this does the same on all.
    """
    return (
        f"[Unit]\nDescription=Swap file {path}\nDefaultDependencies=no\nRequiresMountsFor={path}\n"
        "Before=swap.target shutdown.target\nConflicts=shutdown.target\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        f"ExecStart=/usr/sbin/swapon {path}\nExecStop=/usr/sbin/swapoff {path}\n"
        + "".join(f"{line}\n" for line in SWAP)
        + "\n"
        "[Install]\nWantedBy=swap.target\n"
    )
