"""File systems that fill a block volume of the provider's, mounted by systemd."""

import os
import stat
from pathlib import Path
from typing import Any

from marketplace_durable import make_directory
from marketplace_mount import (
    MOUNTS,
    Failure,
    directory_changes,
    filesystem_on,
    mark_changes,
    option_changes,
    prepare_directory,
    prepare_mount,
    printed,
    start_mount,
    unit_changes,
    used,
)
from marketplace_systemd import mount_unit
from marketplace_volume import Device, Plan, Refusal, plan_device

_OPTIONS = "noatime,nodev,nosuid,noexec"


def mounted(
    name: str,
    device: str,
    image: str,
    size: int,
    directory: str,
    user: int = 0,
    group: int = 0,
    mode: str = "0700",
    with_releases: bool = True,
) -> dict[str, Any]:
    """Ensure that a block volume is mounted, with an ext4 file system that fills it.

    A blank volume is formatted once; whatever holds anything never is, and a blank one in the place of one that held
    data is refused. One that was enlarged at the provider is grown in use; a smaller one than asked for is refused.

    Args:
        name: the mount point.
        device: the volume, such as /dev/disk/by-id/scsi-0DO_Volume_postgres.
        image: where the image file would be, had no volume been asked for: what says that there are data is beside it.
        size: bytes that the volume must have at least.
        directory: a directory at the top of the file system, made with ``user``, ``group`` and ``mode``.
        user: numeric owner of the directory.
        group: numeric group of the directory.
        mode: permission bits of the directory, octal.
        with_releases: whether there must be such a file system already where there have been releases.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"{name} is mounted"}
    target = Path(name) / directory
    owner = (int(user), int(group), str(mode))
    try:
        todo = plan_device(device, _device(device), int(size), image, used(image, with_releases))
        changes = _changes(name, device, image, todo) | directory_changes(target, *owner)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": f"{name} would be mounted as asked"}
        _prepare(name, device, image, todo, changes)
        prepare_directory(Path(name), target, *owner)
        todo = plan_device(device, _device(device), int(size), image)
        remaining = _changes(name, device, image, todo) | directory_changes(target, *owner)
    except (Refusal, Failure, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        wrong = f"{name} is still not as asked: {remaining}"
        return ret | {"result": False, "changes": changes, "comment": wrong}
    return ret | {"changes": changes}


def _device(path: str) -> Device | None:
    try:
        if not stat.S_ISBLK(Path(path).stat().st_mode):
            return None
    except FileNotFoundError:
        return None
    size = int(_run("blockdev", "--getsize64", path))
    # Looks itself, past any cache; 2 says that it found nothing.
    found = _run("blkid", "--probe", "--output", "export", path, accept=(0, 2))
    pairs = dict(line.split("=", 1) for line in found.splitlines() if "=" in line)
    if not pairs:
        return Device(size, None)
    return Device(size, pairs.get("TYPE") or pairs.get("PTTYPE") or "something", filesystem_on(path))


def _is_mounted(name: str, device: str) -> bool:
    """Whether the volume is mounted there; anything else there is an error."""
    for line in MOUNTS.read_text().splitlines():
        fields = line.split(" ")
        if fields[4] != name:
            continue
        facts = Path(device).stat()
        if fields[2] != f"{os.major(facts.st_rdev)}:{os.minor(facts.st_rdev)}":
            source = line.split(" - ", 1)[1].split(" ")[1]
            raise Failure(f"{source} is mounted at {name}, expected {device}. Unmount it and apply again")
        return True
    return False


def _changes(name: str, device: str, image: str, todo: Plan) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if todo.create:
        changes["filesystem"] = {"old": None, "new": f"ext4 on {device}"}
    changes |= mark_changes(image)
    if todo.resize:
        changes["filesystem"] = {"old": "smaller than its volume", "new": "grown"}
    changes |= unit_changes(name, mount_unit(name, device, _OPTIONS))
    changes |= option_changes(name, _OPTIONS, MOUNTS.read_text())
    if not _is_mounted(name, device):
        changes["mounted"] = {"old": False, "new": True}
    return changes


def _prepare(name: str, device: str, image: str, todo: Plan, changes: dict[str, Any]) -> None:
    if todo.create:
        # Few inodes: the services that live here keep few, large files.
        _run("mkfs.ext4", "-q", "-m", "0", "-i", "65536", device)
    prepare_mount(name, image, mount_unit(name, device, _OPTIONS), todo.create, changes, _run)
    if "mounted" in changes:
        if todo.resize:
            _run("e2fsck", "-f", "-p", device, accept=(0, 1))
            _run("resize2fs", device)
        make_directory(Path(name))
        start_mount(name, _run)
    elif todo.resize:
        _run("resize2fs", device)


def _run(*command: str, accept: tuple[int, ...] = (0,)) -> str:
    result = __salt__["cmd.run_all"](list(command), python_shell=False, success_retcodes=list(accept))
    return printed(command, result, accept)
