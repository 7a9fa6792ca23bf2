"""What a fixed-size file system needs whatever it is on: its mount unit in place, and its directory."""

import os
import stat
from pathlib import Path
from typing import Any

from marketplace_systemd import escape_path
from marketplace_volume import SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, Refusal, filesystem_size

UNITS = Path("/etc/systemd/system")
MOUNTS = Path("/proc/self/mountinfo")


def filesystem_on(path: str) -> int | None:
    """Size in bytes of the ext file system in a file or on a device; None where there is none.

    Raises:
        FileNotFoundError: nor is there a file.
    """
    with Path(path).open("rb") as file:
        file.seek(SUPERBLOCK_OFFSET)
        return filesystem_size(file.read(SUPERBLOCK_SIZE))


def unit_changes(name: str, text: str) -> dict[str, Any]:
    """What has to change for the mount point ``name`` to have the unit ``text``, in place and started at boot."""
    unit = f"{escape_path(name)}.mount"
    changes: dict[str, Any] = {}
    file = UNITS / unit
    if not file.exists() or file.read_text() != text:
        changes["unit"] = {"old": None if not file.exists() else "different", "new": unit}
    if not (UNITS / "multi-user.target.wants" / unit).is_symlink():
        changes["enabled"] = {"old": False, "new": True}
    return changes


def option_changes(name: str, options: str, mounts: str) -> dict[str, Any]:
    """What has to change for what is mounted at ``name`` to have ``options``; nothing where nothing is mounted. Pure.

    Args:
        options: as in the mount unit.
        mounts: the text of /proc/self/mountinfo.
    """
    rows = [line.split(" ") for line in mounts.splitlines()]
    now = next((row[5].split(",") for row in reversed(rows) if row[4] == name), None)
    # "loop" is mount's, and no option of what is mounted.
    missing = [option for option in options.split(",") if option != "loop" and now and option not in now]
    return {"options": {"old": ",".join(now or []), "new": ",".join(missing)}} if missing else {}


def directory_changes(target: Path, user: int, group: int, mode: str) -> dict[str, Any]:
    """What has to change about a directory; ``mode`` is octal, with four digits."""
    wanted = f"{user}:{group} {mode}"
    try:
        facts = target.stat()
    except FileNotFoundError:
        return {"directory": {"old": None, "new": wanted}}
    found = f"{facts.st_uid}:{facts.st_gid} {stat.S_IMODE(facts.st_mode):04o}"
    return {} if found == wanted else {"directory": {"old": found, "new": wanted}}


def prepare_directory(mount: Path, target: Path, user: int, group: int, mode: str) -> None:
    """Make a directory inside a mount, and nowhere else.

    Raises:
        Refusal: nothing is mounted there.
    """
    if not mount.is_mount():
        raise Refusal(f"{mount} is not mounted; systemctl status {escape_path(str(mount))}.mount shows why")
    target.mkdir(exist_ok=True)
    os.chown(target, user, group)
    target.chmod(int(mode, 8))
