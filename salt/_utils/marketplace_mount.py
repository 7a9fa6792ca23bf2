"""What a fixed-size file system needs whatever it is on: its mount unit in place, and its directory."""

import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from marketplace_durable import make_directory, write_atomic
from marketplace_paths import Paths
from marketplace_systemd import escape_path
from marketplace_volume import SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, Marks, Refusal, filesystem_size

UNITS = Path("/etc/systemd/system")
MOUNTS = Path("/proc/self/mountinfo")


class Failure(Exception):
    """What has to be done cannot be; the message says why."""


def printed(command: Collection[str], result: Mapping[str, Any], accept: Collection[int] = (0,)) -> str:
    """What a command printed.

    Args:
        result: as Salt's ``cmd.run_all`` returns it.
        accept: the exit codes that are good ones.

    Raises:
        Failure: it ended with another.
    """
    if result["retcode"] not in accept:
        raise Failure(f"{' '.join(command)} failed: {result['stderr'] or result['stdout']}")
    return str(result["stdout"])


def used(image: str, with_releases: bool) -> str:
    """Why there must be data already, empty when there need not be.

    Args:
        image: the image file, or where it would be had no volume been asked for: what says so is beside it.
        with_releases: whether releases are a sign of it.
    """
    marks = Marks.beside(image)
    if marks.start_empty.exists():
        return ""
    if Path(image).exists():
        return f"{image} holds the data (moving them is a restore: docs/settings.md, chosen once)"
    if marks.made.exists():
        return f"there were data once ({marks.made})"
    if with_releases and any(Paths().ledger.glob("*.json")):
        return f"this droplet has had releases ({Paths().ledger})"
    return ""


def mark_changes(image: str) -> dict[str, Any]:
    """What has to change for an image or volume to be known as one that was made."""
    made = Marks.beside(image).made
    return {} if made.exists() else {"mark": {"old": None, "new": str(made)}}


def prepare_mount(
    name: str, image: str, text: str, made: bool, changes: Mapping[str, Any], run: Callable[..., Any]
) -> None:
    """Leave the mark, and put the mount unit in place: all that ``changes`` ask for before it is mounted.

    Args:
        name: the mount point.
        image: as for :func:`used`.
        text: of the unit.
        made: whether its file system has just been made.
        run: is called with the words of a command.
    """
    unit = f"{escape_path(name)}.mount"
    if made or "mark" in changes:
        # Before the first mount: nothing gets onto what could be taken for one that never held anything.
        make_directory(Marks.beside(image).made.parent, 0o700)
        write_atomic(Marks.beside(image).made, "")
        Marks.beside(image).start_empty.unlink(missing_ok=True)
    if "unit" in changes:
        write_atomic(UNITS / unit, text)
        run("systemctl", "daemon-reload")
    if "enabled" in changes:
        run("systemctl", "--quiet", "enable", unit)
    if "options" in changes:
        run("mount", "--options", f"remount,{changes['options']['new']}", name)


def start_mount(name: str, run: Callable[..., Any]) -> None:
    """Mount what has a unit; ``run`` is called with the words of a command, and with the exit codes that are fine."""
    unit = f"{escape_path(name)}.mount"
    # Who waits for it may have asked so often that systemd refuses to try again for a while.
    run("systemctl", "reset-failed", unit, accept=(0, 1))
    run("systemctl", "start", unit)


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
