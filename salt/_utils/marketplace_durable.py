"""Writes that survive a crash at any instant: temporary file, fsync, rename, fsync of the directory."""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class DiskFull(OSError):
    """There is no room for a file; the message names it."""

    def __init__(self, number: int, path: Path) -> None:
        super().__init__(number, os.strerror(number), str(path))

    def __str__(self) -> str:
        said = str(self.strerror).lower()
        return (
            f"{self.filename} can't be written, {said}: make room (salt-call health.check says on which disk, and how "
            "to see what fills it)"
        )


class Disk:
    """Files as the engine needs them. What it promises is built from the primitives below, which a test may replace.

    A name or content that was not synced may be gone after a power loss; ``write``, ``remove`` and ``make_directory``
    return only when theirs will not be.
    """

    # The primitives: each is one thing that the kernel does.

    def create_temporary(
        self, path: Path, content: bytes, mode: int, uid: int | None, gid: int | None
    ) -> Path:
        """A file beside ``path`` with that content, not yet durable; nothing is left behind when it fails."""
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                if uid is not None or gid is not None:
                    os.fchown(file.fileno(), -1 if uid is None else uid, -1 if gid is None else gid)
                file.write(content)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def sync_file(self, path: Path) -> None:
        """Make a file's content durable."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give ``source`` the name ``target``, in whose place it comes."""
        source.rename(target)

    def unlink(self, path: Path) -> None:
        """Take a name away; FileNotFoundError where there is none."""
        path.unlink()

    def mkdir(self, path: Path, mode: int) -> None:
        """One new directory; one that is there is fine."""
        path.mkdir(mode=mode, exist_ok=True)

    def sync_directory(self, directory: Path) -> None:
        """Make the names in ``directory`` durable (a rename is not, until its directory is synced)."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read_text(self, path: Path) -> str:
        """The content; FileNotFoundError where there is none."""
        return path.read_text()

    def is_directory(self, path: Path) -> bool:
        return path.is_dir()

    def names(self, directory: Path) -> list[str]:
        """Sorted names in a directory; none where it does not exist."""
        try:
            return sorted(path.name for path in directory.iterdir())
        except FileNotFoundError:
            return []

    # What is built from them.

    def write(
        self, path: Path, data: str | bytes, mode: int = 0o644, uid: int | None = None, gid: int | None = None
    ) -> None:
        """Replace ``path`` by ``data``: readers see the old content or the new, never a mixture, even after a crash.

        Args:
            path: the file; its directory must exist.
            data: the whole new content; text is encoded as UTF-8.
            mode: permission bits, set before the file gets its name.
            uid: owner, when not the caller.
            gid: group, when not the caller's.

        Raises:
            DiskFull: as below, for want of room.
            OSError: nothing was replaced; no temporary file is left behind.
        """
        content = data.encode() if isinstance(data, str) else data
        with _named(path):
            temporary = self.create_temporary(path, content, mode, uid, gid)
            try:
                self.sync_file(temporary)
                self.rename(temporary, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    self.unlink(temporary)
                raise
        self.sync_directory(path.parent)

    def make_directory(self, path: Path, mode: int = 0o755) -> None:
        """Create ``path`` and its missing parents durably; an existing directory is left as it is."""
        if self.is_directory(path):
            return
        self.make_directory(path.parent, mode)
        with _named(path):
            self.mkdir(path, mode)
        self.sync_directory(path.parent)

    def remove(self, path: Path) -> bool:
        """Take a file away durably; False when it was not there."""
        try:
            self.unlink(path)
        except FileNotFoundError:
            return False
        self.sync_directory(path.parent)
        return True

    def read_json(self, path: Path) -> Any | None:
        """The document in ``path``; None when there is no such file.

        Raises:
            ValueError: the file is not JSON; the message names it.
        """
        try:
            text = self.read_text(path)
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """The kernel says that there is no room, and not for what."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(error.errno, path) from error


DISK = Disk()
# Of renameat2(2): relative to the working directory, and both names at once.
_HERE, _EXCHANGE = -100, 2


def exchange(first: Path, second: Path) -> None:
    """Have two directories or files of one file system change names, in one instant and durably.

    Raises:
        OSError: one of them is not there, or the file system can't.
    """
    library = ctypes.CDLL(None, use_errno=True)
    done = library.renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE)
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(first), None, str(second))
    for directory in {first.parent, second.parent}:
        DISK.sync_directory(directory)


def fsync_directory(directory: Path) -> None:
    """:meth:`Disk.sync_directory` of the real disk."""
    DISK.sync_directory(directory)


def write_atomic(
    path: Path, data: str | bytes, mode: int = 0o644, uid: int | None = None, gid: int | None = None
) -> None:
    """:meth:`Disk.write` to the real disk."""
    DISK.write(path, data, mode, uid, gid)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """:meth:`Disk.make_directory` on the real disk."""
    DISK.make_directory(path, mode)


def to_json(document: Any) -> str:
    """JSON for people: sorted keys, two spaces, final newline."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def digest(document: Any) -> str:
    """``sha256:`` and the digest of a document's canonical JSON: sorted keys, no spaces."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def read_json(path: Path) -> Any | None:
    """:meth:`Disk.read_json` from the real disk."""
    return DISK.read_json(path)
