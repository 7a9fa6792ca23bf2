"""What systemd says about a unit, and the unit files that this tree writes by code."""

import os
import string
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_sandbox import SWAP

# No --property=LoadState for a unit alone tells whether it runs with what is on disk: these four together do.
SHOW = ("LoadState", "ActiveState", "NeedDaemonReload", "ActiveEnterTimestampMonotonic")
# States of a unit file with which ``systemctl is-enabled`` is content.
_ENABLED = frozenset({"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"})
_SUFFIXES = (".service", ".timer", ".socket", ".mount", ".slice", ".target", ".path")
# States of one unit each.
_ABOUT = frozenset(
    {
        ("systemd_service", "dead"),
        ("systemd_service", "disabled"),
        ("systemd_service", "enabled"),
        ("systemd_service", "masked"),
        ("systemd_service", "running"),
        ("systemd_unit", "current"),
    }
)
_KEPT = "marketplace_systemd.units"


@dataclass(frozen=True)
class Unit:
    """What systemd says of a unit.

    Attributes:
        loaded: whether there is one, and it is not masked.
        active: whether it runs; activating: whether systemd is about to start it.
        needs_reload: whether its definition on disk is another.
        started: seconds on the monotonic clock; None when it never ran.
        file: how it stands on disk (``enabled``, ``disabled``, ``masked``, ...); empty where there is no file.
    """

    loaded: bool
    active: bool
    needs_reload: bool
    started: float | None
    activating: bool = False
    file: str = ""

    @property
    def enabled(self) -> bool:
        """Whether it is started at boot, or by whatever wants it."""
        return self.file in _ENABLED

    @property
    def masked(self) -> bool:
        return self.file.startswith("masked")

    @classmethod
    def parse(cls, text: str, file: str = "") -> "Unit":
        """Read ``systemctl show --property=...`` output (``key=value`` lines; keys that are missing count as empty)."""
        pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        microseconds = pairs.get("ActiveEnterTimestampMonotonic", "0") or "0"
        return cls(
            loaded=pairs.get("LoadState") == "loaded",
            active=pairs.get("ActiveState") in ("active", "reloading"),
            activating=pairs.get("ActiveState") == "activating",
            needs_reload=pairs.get("NeedDaemonReload") == "yes",
            started=int(microseconds) / 1e6 if microseconds != "0" else None,
            file=file,
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


def full(name: str) -> str:
    """A unit's name with its suffix; one without is a service."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def units(names: Sequence[str], run: Callable[[list[str]], str]) -> dict[str, Unit]:
    """Several units at once.

    Args:
        names: with their suffixes, each once.
        run: runs a command and returns what it printed.
    """
    shown = run(["systemctl", "show", *names, f"--property={','.join(SHOW)}"]).strip().split("\n\n")
    if len(shown) != len(names):  # One that can't be a unit's name has no answer.
        return {name: units([name], run)[name] for name in names}
    # What is kept in memory of a unit's file is as old as the last daemon-reload; this reads the disk.
    listed = run(["systemctl", "list-unit-files", "--no-legend", "--plain", "--full", *names])
    files = dict(line.split()[:2] for line in listed.splitlines() if line.strip())
    return {name: Unit.parse(text, files.get(name, "")) for name, text in zip(names, shown, strict=True)}


def unit_of(
    name: str,
    run: Callable[[list[str]], str],
    kept: MutableMapping[str, Any] | None = None,
    chunks: Iterable[Mapping[str, Any]] = (),
    results: Mapping[str, Mapping[str, Any]] | None = None,
) -> Unit:
    """What systemd says of a unit, asked of all at once that a run is about, as long as the run changes nothing.

    Args:
        name: with its suffix.
        run: runs a command and returns what it printed.
        kept: what outlives a state (``__context__``); None where systemd has to be asked now.
        chunks: what the run is about (``__lowstate__``).
        results: what came of it until now (``__running__``).
    """
    if kept is None:
        return units([name], run)[name]
    changed = sum(bool(row.get("changes")) for row in (results or {}).values())
    before: int
    known: dict[str, Unit]
    before, known = kept.get(_KEPT, (-1, {}))
    if before != changed or name not in known:
        about = {full(str(one["name"])) for one in chunks if (one.get("state"), one.get("fun")) in _ABOUT}
        # Once something changes, more will.
        names = sorted(about | {name}) if changed == 0 else [name]
        known = units(names, run)
        kept[_KEPT] = (changed, known)
    return known[name]


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
