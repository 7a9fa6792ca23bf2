"""The catalogue of backups: one record each, written when the backup is complete, and what there is of the log.

A backup without a record is none: it was interrupted, or is being taken.
"""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk, to_json
from marketplace_last_words import last_words
from marketplace_managed import HERE, home, theirs
from marketplace_wal import Chain, Segment, ancestors, chain

KINDS = ("postgres", "dump", "redis", "house")
_CHUNK = 1024 * 1024
_ZSTD = bytes.fromhex("28b52ffd")


def kinds(settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What is backed up here. Of a database at a provider that is the dump, of a cache there nothing.

    Args:
        settings: the effective settings; None before the first state.apply.
    """
    return KINDS if settings is None else tuple(kind for kind in KINDS if kind not in theirs(settings))


@dataclass(frozen=True)
class Backup:
    """One complete backup.

    Attributes:
        kind: one of KINDS.
        id: sorts by time within its kind.
        started, ended: ISO 8601 with zone; what is in it is not older than ``started``.
        bytes: what it takes on disk.
        files: SHA-256 by file, relative to the backups' directory.
        facts: what else is known (``begin``, ``end``: first and last log segment it needs).
        verified: when it was last looked through; nothing: never.
        problems: what was found then.
    """

    kind: str
    id: str
    started: str
    ended: str
    bytes: int
    files: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    verified: str = ""
    problems: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not self.problems

    @property
    def record(self) -> str:
        """Its record's file, relative to the backups' directory."""
        return f"records/{self.kind}-{self.id}.json"

    @property
    def taken(self) -> datetime:
        return datetime.fromisoformat(self.ended)

    @property
    def begin(self) -> Segment | None:
        """The first log segment that a base backup needs; None for other kinds."""
        return Segment.parse(str(self.facts.get("begin", "")))

    @property
    def end(self) -> Segment | None:
        """The last log segment that a base backup needs; None for other kinds."""
        return Segment.parse(str(self.facts.get("end", "")))

    def of_now(self, settings: Mapping[str, Any]) -> bool:
        """Whether it is of the database where that is now: a dump from before a move says nothing of the new place."""
        return self.kind != "dump" or self.facts.get("place", HERE) == home(settings)

    def row(self, where: str) -> dict[str, Any]:
        """The backup as ``backup.list`` shows it."""
        return {
            "what": self.kind,
            "id": self.id,
            "when": self.taken.isoformat(timespec="seconds"),
            "bytes": self.bytes,
            "verified": "BAD: " + "; ".join(self.problems) if self.problems else self.verified or "never",
            "where": where,
        }


class Catalogue:
    """The records below ``directory``, the backups' own."""

    def __init__(self, directory: Path, disk: Disk = DISK) -> None:
        self.directory = directory
        self.disk = disk

    @property
    def records(self) -> Path:
        return self.directory / "records"

    @property
    def _gone(self) -> Path:
        return self.directory / "let-go"

    def all(self) -> list[Backup]:
        """Every backup, newest first.

        Raises:
            ValueError: a record is not readable; the message names its file.
        """
        return self._read(self.records)

    def let_go(self) -> list[Backup]:
        """Those that were let go of here, and may still be at the copy elsewhere.

        Raises:
            ValueError: as ``all``.
        """
        return self._read(self._gone)

    def of(self, kind: str) -> list[Backup]:
        """Those of one kind, newest first."""
        return [backup for backup in self.all() if backup.kind == kind]

    def newest(self, kind: str) -> Backup | None:
        """The newest good one of a kind."""
        return next((backup for backup in self.of(kind) if backup.good), None)

    def add(self, backup: Backup) -> None:
        """Record a backup, or what is new about it; durable behind this."""
        self.disk.make_directory(self.records)
        self.disk.write(self._file(backup), to_json(asdict(backup)), mode=0o600)

    def forget(self, backup: Backup) -> None:
        """Let go of a backup: before it is deleted, so that what is half deleted is never listed.

        Its record is put aside until ``settle``: it alone tells the copy elsewhere what was let go of, and is not
        merely missing here.
        """
        self.disk.make_directory(self._gone)
        self.disk.rename(self._file(backup), self._gone / self._file(backup).name)
        self.disk.sync_directory(self._gone)
        self.disk.sync_directory(self.records)

    def settle(self, backup: Backup) -> None:
        """Nothing is left anywhere of a backup that was let go of."""
        self.disk.remove(self._gone / self._file(backup).name)

    def _file(self, backup: Backup) -> Path:
        return self.directory / backup.record

    def _read(self, directory: Path) -> list[Backup]:
        found = []
        for name in self.disk.names(directory):
            if name.endswith(".json") and not name.startswith("."):
                backup = self._backup(directory / name)
                if backup is not None:
                    found.append(backup)
        return sorted(found, key=lambda backup: (backup.taken, backup.kind), reverse=True)

    def _backup(self, file: Path) -> Backup | None:
        """One backup by its record; None where another process has taken that away since."""
        try:
            document: Any = self.disk.read_json(file)
            if document is None:
                return None
            backup = Backup(**document | {"problems": tuple(document["problems"])})
            datetime.fromisoformat(backup.ended)
            return backup
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"{file} is no record of a backup ({error}): move it away; backup.fetch brings it back where there is "
                "a copy, and else backup.create takes a new backup, and clears what this one was of"
            ) from error

    def changed(self, backup: Backup) -> list[str]:
        """One sentence for each file of a backup that is not as it was when it was recorded."""
        found = []
        for name, digest in sorted(backup.files.items()):
            try:
                now = file_digest(self.directory / name)
            except OSError as error:
                found.append(f"{name} of the {backup.kind} backup {backup.id}: {error.strerror or error}")
                continue
            if now != digest:
                found.append(
                    f"{name} of the {backup.kind} backup {backup.id} is not what was backed up (its SHA-256 is another)"
                )
        return found

    def looked_through(self, backup: Backup, problems: Iterable[str], when: datetime) -> Backup:
        """Record what was found."""
        seen = replace(backup, verified=when.isoformat(timespec="seconds"), problems=tuple(problems))
        self.add(seen)
        return seen


def arriving(directory: Path) -> Path:
    """Where backups from elsewhere arrive, below the backups' directory; there until all are in their places."""
    return directory / ".arriving"


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def superfluous(backups: Iterable[Backup], keep: timedelta, now: datetime) -> list[Backup]:
    """Those that nothing within ``keep`` needs any more, oldest first.

    To go back to any second within ``keep`` takes the newest good backup from before it, so that one stays.
    """
    newest_first = sorted(backups, key=lambda backup: backup.taken, reverse=True)
    before = [backup for backup in newest_first if backup.taken <= now - keep]
    base = next((backup for backup in before if backup.good), None)
    if base is None:
        return []
    return [backup for backup in reversed(before) if backup is not base]


def passed_over(backups: Iterable[Backup], chosen: Backup) -> str:
    """The newer ones of a kind that were not chosen, and why, in words; nothing where it is the newest."""
    newer = sorted(
        (backup for backup in backups if backup.taken > chosen.taken), key=lambda backup: backup.taken
    )
    return "; ".join(
        f"{backup.id} passed over ({', '.join(backup.problems) or 'it leads nowhere'})" for backup in newer
    )


@dataclass(frozen=True)
class Log:
    """The log that is put away: by segment its file, and what timelines come from; and what is just being received."""

    files: dict[Segment, Path]
    histories: dict[int, dict[int, int]]
    receiving: tuple[Segment, ...] = ()

    def chain(self, start: Segment) -> Chain:
        """The log from a segment on."""
        return chain(self.files, self.histories, start, self.receiving)


def log_files(directory: Path) -> Iterator[Path]:
    """Files of the log that is put away, below a server's directory of Barman's; some are no segments."""
    wals = directory / "wals"
    return (path for path in (wals.rglob("0*") if wals.is_dir() else ()) if path.is_file())


def log_below(directory: Path) -> Log:
    """What there is of the log, below a server's directory of Barman's."""
    # First: what is put away meanwhile is there in both, and never in neither.
    names = (path.name.removesuffix(".partial") for path in (directory / "streaming").glob("0*"))
    receiving = tuple(segment for name in names if (segment := Segment.parse(name)))
    files: dict[Segment, Path] = {}
    histories: dict[int, dict[int, int]] = {}
    for path in log_files(directory):
        segment = Segment.parse(path.name)
        if segment is not None:
            files[segment] = path
        elif path.suffix == ".history":
            histories[int(path.stem, 16)] = ancestors(_unpacked(path))
    return Log(files, histories, receiving)


def _unpacked(path: Path) -> str:
    """A text that may be compressed, as everything that Barman puts away is.

    Raises:
        ValueError: it is damaged.
    """
    content = path.read_bytes()
    if content.startswith(_ZSTD):
        done = subprocess.run(
            ["zstd", "--quiet", "--decompress", "--stdout"],
            input=content,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise ValueError(f"{path} can't be unpacked: {last_words(said)}")
        content = done.stdout
    return content.decode(errors="replace")
