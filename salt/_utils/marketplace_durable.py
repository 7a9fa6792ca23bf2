"""Writes that survive a crash at any instant: temporary file, fsync, rename, fsync of the directory."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def fsync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable (a rename is not, until its directory is synced)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(
    path: Path, data: str | bytes, mode: int = 0o644, uid: int | None = None, gid: int | None = None
) -> None:
    """Replace ``path`` by ``data``: readers see the old content or the new, never a mixture, even after a crash.

    Args:
        path: the file; its directory must exist.
        data: the whole new content; text is encoded as UTF-8.
        mode: permission bits, set before the file gets its name.
        uid: owner, when not the caller.
        gid: group, when not the caller's.

    Raises:
        OSError: nothing was replaced; no temporary file is left behind.
    """
    content = data.encode() if isinstance(data, str) else data
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            if uid is not None or gid is not None:
                os.fchown(file.fileno(), -1 if uid is None else uid, -1 if gid is None else gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).rename(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Create ``path`` and its missing parents durably; an existing directory is left as it is."""
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    path.mkdir(mode=mode, exist_ok=True)
    fsync_directory(path.parent)


def to_json(document: Any) -> str:
    """Canonical JSON for people and digests alike: sorted keys, two spaces, final newline."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any | None:
    """The document in ``path``; None when there is no such file.

    Raises:
        ValueError: the file is not JSON; the message names it.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
