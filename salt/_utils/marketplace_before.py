"""What the host was before any state wrote to it: kept at the first converge, so that a removal can put it back.

Of each place that a state writes to, the file, link or directory that was there, or that there was none; and which
Debian packages were installed.
"""

import base64
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from marketplace_durable import make_directory, write_atomic

# Functions of the state "file" that write; of the others every function does.
_FILE_WRITERS = ("managed", "serialize", "directory", "symlink")
_WRITERS = ("keyword_file", "kernel_settings", "local_certificate", "nft_table", "secret", "sshd")
# No states write larger ones where something may have been before.
_LARGEST = 1 << 20
# There is something, and nobody has looked at it before a state wrote there.
UNKNOWN: dict[str, Any] = {"kind": "unknown"}

Place = dict[str, Any]


def written(chunks: Iterable[Mapping[str, Any]], stays: Iterable[str]) -> dict[str, bool]:
    """The places that a run's states write to, and whether they decide what is in there, or only whose it is. Pure.

    Args:
        chunks: the run's low state.
        stays: directories that no removal looks into.
    """
    found: dict[str, bool] = {}
    for chunk in chunks:
        state, function = chunk.get("state"), chunk.get("fun")
        if state in _WRITERS or (state == "file" and function in _FILE_WRITERS):
            for place in (str(chunk.get(key)) for key in ("name", "boot")):
                if place.startswith("/"):
                    found[place] = found.get(place, False) or chunk.get("replace") is not False
    kept = [stay.rstrip("/") for stay in stays]
    return {
        path: whole
        for path, whole in sorted(found.items())
        if not any(f"{path}/".startswith(f"{stay}/") for stay in kept)
    }


def look(path: Path, whole: bool = True) -> Place | None:
    """What is at a place; None where there is nothing.

    Args:
        whole: also what is in a file, and not only whose it is.

    Raises:
        OSError: it can't be read, or is nothing that could be put back.
    """
    try:
        facts = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(facts.st_mode):
        return {"kind": "link", "target": str(path.readlink())}
    owned = {"mode": stat.S_IMODE(facts.st_mode), "uid": facts.st_uid, "gid": facts.st_gid}
    if stat.S_ISDIR(facts.st_mode):
        return {"kind": "directory", **owned}
    if not whole:
        return {"kind": "file", **owned}
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
        raise OSError(f"{path} is no file that could be kept: move it away")
    return {"kind": "file", **owned, "content": base64.b64encode(path.read_bytes()).decode()}


def keep(paths: Mapping[str, bool], root: Path, fresh: bool) -> dict[str, Place | None]:
    """What is at each of ``paths`` before states write there, and which directories they will have to make.

    Args:
        paths: as :func:`written` gives them, below ``root``.
        fresh: whether what is there is the host's own. Otherwise it may be an earlier run's, and is ``UNKNOWN``.
    """
    found: dict[str, Place | None] = {}
    for path, whole in paths.items():
        place = look(root / path.lstrip("/"), whole)
        # What states do not write into is the host's own in any case.
        known = fresh or not whole or place is None or place["kind"] == "directory"
        found[path] = place if known else UNKNOWN
        for parent in Path(path).parents:
            if (root / str(parent).lstrip("/")).exists():
                break
            found.setdefault(str(parent), None)
    return found


def differences(places: Mapping[str, Place | None], root: Path, packaged: Iterable[str]) -> dict[str, Any]:
    """What has to change for each place to be as it was, innermost first.

    Args:
        places: as :func:`keep` found them.
        packaged: those that came with a package: where nobody knows what they said, they stay as they are.
    """
    owned, found = set(packaged), {}
    gone: set[str] = set()
    for path in sorted(places, reverse=True):
        before, at = places[path], root / path.lstrip("/")
        now = look(at, before is None or "content" in before)
        if before == UNKNOWN:
            before = now if path in owned else None
        if before is None:
            # A directory that came about for files of ours may have others' by now.
            if (
                at.is_dir()
                and not at.is_symlink()
                and not gone.issuperset(f"{path}/{e.name}" for e in at.iterdir())
            ):
                continue
            gone.add(path)
        is_nobodys = (
            now is None and before is not None and before["kind"] == "file" and "content" not in before
        )
        if before != now and not is_nobodys:
            found[path] = {"old": _said(now), "new": _said(before)}
    return found


def _said(place: Place | None) -> str | None:
    if place is None:
        return None
    if place["kind"] == "link":
        return f"-> {place['target']}"
    return f"{place['kind']} {place['mode']:04o}"


def put_back(path: Path, before: Place | None) -> None:
    """Make a place what it was."""
    if before is None or path.is_symlink() or (path.is_dir() and before["kind"] != "directory"):
        remove(path)
    if before is None:
        return
    make_directory(path.parent)
    if before["kind"] == "link":
        path.symlink_to(before["target"])
        return
    if "content" in before:
        content = base64.b64decode(before["content"])
        write_atomic(path, content, before["mode"], before["uid"], before["gid"])
        return
    if before["kind"] == "directory":
        make_directory(path)
    if path.exists():
        os.chown(path, before["uid"], before["gid"])
        path.chmod(before["mode"])


def remove(path: Path) -> None:
    """Remove whatever is there; of a mount point what is in it."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_mount():
        for entry in path.iterdir():
            remove(entry)
    elif path.is_dir():
        shutil.rmtree(path)
