"""A file system in memory that forgets at a power loss what was not synced."""

import errno
import random
from dataclasses import dataclass, field
from pathlib import Path

from marketplace_durable import Disk

from tests.simulation.gate import Gate


@dataclass(eq=False)
class Inode:
    """A file: its content, and whether a power loss leaves it whole."""

    content: bytes
    synced: bool = False


@dataclass(eq=False)
class Names:
    """A directory: its names now, those that are durable, and what was done since, in order.

    ``since`` holds ``(name, what the name stands for or None, a name that goes in the same stroke)``.
    """

    now: dict[str, "Inode | Names"] = field(default_factory=dict)
    durable: dict[str, "Inode | Names"] = field(default_factory=dict)
    since: list[tuple[str, "Inode | Names | None", str]] = field(default_factory=list)

    def put(self, name: str, entry: "Inode | Names | None", gone: str = "") -> None:
        self.since.append((name, entry, gone))
        _apply(self.now, name, entry, gone)

    def sync(self) -> None:
        self.durable = dict(self.now)
        self.since.clear()

    def lose(self, chance: random.Random) -> None:
        """After a power loss: of what was not synced, some has reached the disk and some has not."""
        for change in self.since:
            if chance.random() < 0.5:
                _apply(self.durable, *change)
        self.now = dict(self.durable)
        self.since.clear()


def _apply(names: dict[str, "Inode | Names"], name: str, entry: "Inode | Names | None", gone: str) -> None:
    if entry is None:
        names.pop(name, None)
    else:
        names[name] = entry
    if gone:
        names.pop(gone, None)


class SimDisk(Disk):
    """The engine's files.

    Args:
        there: directories that state.apply has made, durably.
    """

    def __init__(self, gate: Gate, *there: Path) -> None:
        self.gate = gate
        self.directories: dict[str, Names] = {}
        self.full = False
        self._made = 0
        for directory in there:
            self.provide(directory)

    # For tests: what is there before, and what can be seen.

    def provide(self, directory: Path) -> None:
        """Make a directory and its parents, durably and at no gate."""
        path = str(directory)
        if path in self.directories:
            return
        self.directories[path] = Names()
        if directory != directory.parent:
            self.provide(directory.parent)
            parent = self.directories[str(directory.parent)]
            parent.now[directory.name] = parent.durable[directory.name] = self.directories[path]

    def place(self, path: Path, text: str) -> None:
        """Put a file there, durably and at no gate."""
        self.provide(path.parent)
        names = self.directories[str(path.parent)]
        names.now[path.name] = names.durable[path.name] = Inode(text.encode(), synced=True)

    def take(self, path: Path) -> None:
        """Take a file away, durably and at no gate."""
        names = self.directories[str(path.parent)]
        names.now.pop(path.name, None)
        names.durable.pop(path.name, None)

    def content(self, path: Path) -> str | None:
        """A file's text now, at no gate."""
        found = self._find(path)
        return found.content.decode() if isinstance(found, Inode) else None

    def kept(self, path: Path) -> str | None:
        """A file's text if the power failed now; None where that is not certain."""
        names = self.directories.get(str(path.parent))
        if names is None or any(path.name in (change[0], change[2]) for change in names.since):
            return None
        found = names.durable.get(path.name)
        return found.content.decode() if isinstance(found, Inode) and found.synced else None

    def files(self) -> dict[str, str]:
        """Every file and its text."""
        return {
            f"{directory}/{name}": entry.content.decode()
            for directory, names in self.directories.items()
            for name, entry in names.now.items()
            if isinstance(entry, Inode)
        }

    def sync_all(self) -> None:
        """The droplet goes down in order: nothing is lost."""
        for names in self.directories.values():
            names.sync()
            for entry in names.now.values():
                if isinstance(entry, Inode):
                    entry.synced = True

    def lose(self, chance: random.Random) -> None:
        """The power fails."""
        root = min(self.directories, key=len)
        for path in sorted(self.directories):
            names = self.directories[path]
            names.lose(chance)
            for entry in names.now.values():
                if isinstance(entry, Inode) and not entry.synced:
                    entry.content = entry.content[
                        : chance.choice((0, len(entry.content) // 2, len(entry.content)))
                    ]
                    entry.synced = True
            names.durable = dict(names.now)
        for path in sorted(self.directories):
            parent, _, name = path.rpartition("/")
            above = self.directories.get(parent or "/")
            kept = above is not None and above.now.get(name) is self.directories[path]
            if path != root and not kept:
                del self.directories[path]

    # The primitives.

    def create_temporary(
        self, path: Path, content: bytes, mode: int, uid: int | None, gid: int | None
    ) -> Path:
        if not isinstance(content, bytes):
            raise TypeError("a file's content is bytes")
        with self.gate.act(f"disk create {path.name}", self._refuses):
            self._room()
            names = self._names(path.parent)
            self._made += 1
            name = f".{path.name}.{self._made}"
            names.put(name, Inode(content))
        return path.with_name(name)

    def sync_file(self, path: Path) -> None:
        with self.gate.act("disk sync", self._refuses):
            found = self._find(path)
            if not isinstance(found, Inode):
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            found.synced = True

    def rename(self, source: Path, target: Path) -> None:
        with self.gate.act(f"disk rename {target.name}", self._refuses):
            names = self._names(source.parent)
            if source.parent != target.parent or source.name not in names.now:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(source))
            names.put(target.name, names.now[source.name], gone=source.name)

    def unlink(self, path: Path) -> None:
        with self.gate.act(f"disk unlink {path.name}", self._refuses):
            if not isinstance(self._find(path), Inode):
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            self._names(path.parent).put(path.name, None)

    def mkdir(self, path: Path, mode: int) -> None:
        with self.gate.act(f"disk mkdir {path.name}", self._refuses):
            self._room()
            names = self._names(path.parent)
            if path.name not in names.now:
                self.directories[str(path)] = made = Names()
                names.put(path.name, made)

    def sync_directory(self, directory: Path) -> None:
        with self.gate.act("disk sync", self._refuses):
            self._names(directory).sync()

    def read_text(self, path: Path) -> str:
        self.gate.look(f"disk read {path.name}", self._refuses)
        found = self._find(path)
        if not isinstance(found, Inode):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return found.content.decode()

    def is_directory(self, path: Path) -> bool:
        self.gate.look("disk look")
        return str(path) in self.directories

    def names(self, directory: Path) -> list[str]:
        self.gate.look(f"disk list {directory.name}", self._refuses)
        found = self.directories.get(str(directory))
        return sorted(found.now) if found else []

    def _find(self, path: Path) -> Inode | Names | None:
        names = self.directories.get(str(path.parent))
        return names.now.get(path.name) if names else None

    def _names(self, directory: Path) -> Names:
        try:
            return self.directories[str(directory)]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(directory)) from None

    def _room(self) -> None:
        if self.full:
            raise self._refuses("")

    @staticmethod
    def _refuses(words: str) -> OSError:
        return OSError(errno.ENOSPC, "No space left on device", words or None)
