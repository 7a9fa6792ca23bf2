"""File systems of a fixed, fully allocated size, each in an image file mounted by systemd."""

from pathlib import Path
from typing import Any

from marketplace_allocate import allocate
from marketplace_durable import fsync_directory, make_directory
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
from marketplace_volume import Image, Plan, Refusal, plan


def mounted(
    name: str,
    image: str,
    size: int,
    directory: str,
    user: int = 0,
    group: int = 0,
    mode: str = "0700",
    with_releases: bool = True,
    options: str = "loop,noatime,nodev,nosuid,noexec",
    device: str = "",
) -> dict[str, Any]:
    """Ensure a fixed-size file system is mounted.

    The image is created once; whatever holds anything is never formatted, and an image that is gone is not replaced by
    an empty one: a mark beside it, or a release on record, says that there was one. A larger size grows it in use (the
    kernel wants CAP_SYS_RESOURCE for that; without it, stop what uses it, unmount it and apply ``volumes`` alone), a
    smaller one is only reported. Holes are allocated again, so that the space stays promised.

    Args:
        name: the mount point.
        image: the image file.
        size: bytes.
        directory: a directory at the top of the file system, made with ``user``, ``group`` and ``mode``.
        user: numeric owner of the directory.
        group: numeric group of the directory.
        mode: permission bits of the directory, octal.
        with_releases: whether there must be such a file system already where there have been releases.
        options: mount options.
        device: nothing here: a block volume is ``block_volume.mounted``'s.
    """
    if device:
        return {
            "name": name,
            "changes": {},
            "result": False,
            "comment": f"{device} is for block_volume.mounted",
        }
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"{name} is mounted"}
    target = Path(name) / directory
    try:
        todo = plan(image, _image(image), size, used(image, with_releases))
        changes = _changes(name, image, size, todo, options) | directory_changes(target, user, group, mode)
        if todo.note:
            ret["comment"] = f"{name} {todo.note}"
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": f"{name} would be mounted as asked"}
        _prepare(name, image, size, todo, options, changes)
        prepare_directory(Path(name), target, user, group, mode)
        todo = plan(image, _image(image), size)
        remaining = _changes(name, image, size, todo, options) | directory_changes(target, user, group, mode)
    except (Refusal, Failure, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"{name} is still not as asked: {remaining}",
        }
    return ret | {"changes": changes, "comment": ret["comment"]}


def _image(path: str) -> Image | None:
    try:
        facts = Path(path).stat()
        filesystem = filesystem_on(path)
    except FileNotFoundError:
        return None
    return Image(size=facts.st_size, allocated=facts.st_blocks * 512, filesystem=filesystem)


def _loop_device(name: str, image: str) -> str | None:
    """The loop device mounted at ``name``, None when nothing is; anything but our image there is an error."""
    for line in MOUNTS.read_text().splitlines():
        fields = line.split(" ")
        if fields[4] != name:
            continue
        device = line.split(" - ", 1)[1].split(" ")[1]
        backing = Path(f"/sys/block/{Path(device).name}/loop/backing_file")
        if not backing.exists() or not Path(image).samefile(backing.read_text().strip()):
            raise Failure(f"{device} is mounted at {name}, expected {image}. Unmount it and apply again.")
        return device
    return None


def _changes(name: str, image: str, size: int, todo: Plan, options: str) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if todo.create:
        changes["image"] = {"old": None, "new": f"{image}, {size} bytes"}
    changes |= mark_changes(image)
    if todo.allocate:
        changes["image"] = {"old": "not fully allocated", "new": f"{size} bytes"}
    if todo.resize:
        changes["filesystem"] = {"old": "smaller than its image", "new": "grown"}
    changes |= unit_changes(name, mount_unit(name, image, options))
    changes |= option_changes(name, options, MOUNTS.read_text())
    if _loop_device(name, image) is None:
        changes["mounted"] = {"old": False, "new": True}
    return changes


def _run(*command: str, accept: tuple[int, ...] = (0,)) -> str:
    result = __salt__["cmd.run_all"](list(command), python_shell=False, success_retcodes=list(accept))
    return printed(command, result, accept)


def _prepare(name: str, image: str, size: int, todo: Plan, options: str, changes: dict[str, Any]) -> None:
    if todo.create:
        _create(image, size)
    elif todo.allocate:
        allocate(Path(image), size)
    prepare_mount(name, image, mount_unit(name, image, options), todo.create, changes, _run)
    if "mounted" in changes:
        if todo.resize:
            _refuse_attached(name, image)
            _run("e2fsck", "-f", "-p", image, accept=(0, 1))
            _run("resize2fs", image)
        make_directory(Path(name))
        start_mount(name, _run)
    elif todo.resize:
        device = _loop_device(name, image) or ""
        _run("losetup", "--set-capacity", device)
        _run("resize2fs", device)


def _refuse_attached(name: str, image: str) -> None:
    """An image that the kernel still has in use, in whatever mount namespace, must not be changed behind its back."""
    devices = _run("losetup", "--noheadings", "--output", "NAME", "--associated", image).split()
    if devices:
        raise Failure(
            f"{image} is not mounted at {name} but still in use by {', '.join(devices)}. Reboot, apply again."
        )


def _create(image: str, size: int) -> None:
    """Make the image under another name first: a run that is killed half way leaves nothing that looks finished."""
    make_directory(Path(image).parent, 0o700)
    unfinished = Path(f"{image}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        allocate(unfinished, size)
        # Nothing is discarded or zeroed later by the kernel: that would give allocated blocks back. Few inodes: the
        # services that live here keep few, large files.
        options = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-i", "65536", "-E", options, str(unfinished))
        allocate(unfinished, size)
        unfinished.rename(image)
        fsync_directory(unfinished.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
