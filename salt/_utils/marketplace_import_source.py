"""What somebody moves in with, and whether it is what it should be, as far as can be seen from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError
from marketplace_database import MAJOR
from marketplace_managed import NAMES, is_managed, place

_CUSTOM, _SNAPSHOT = b"PGDMP", b"REDIS"
# How pg_dump ends a plain dump, but for a line or two. psql takes the end of a shorter file for the end of a table.
_END = b"-- PostgreSQL database dump complete"
_END_BYTES = 1024


@dataclass(frozen=True)
class Source:
    """What is moved in: a dump or a data directory, a snapshot of Redis, or both.

    Attributes:
        dump: made by pg_dump, in its custom format or plain.
        data: a data directory; a server of ours writes to it.
        cache: an RDB file.
        user: the superuser of the data directory.
        database: its database.
        replace: whether rows that are here already may go.
    """

    dump: Path | None = None
    data: Path | None = None
    cache: Path | None = None
    user: str = "postgres"
    database: str = ""
    replace: bool = False


def refuse_unusable(source: Source) -> None:
    """Whether the files are what they should be, as far as can be seen from outside.

    Raises:
        BackupError: one of them is not.
    """
    if source.dump and source.data:
        raise BackupError("the database comes from a dump or from a data directory, not from both")
    if not (source.dump or source.data or source.cache):
        raise BackupError("nothing is to be imported: give dump=FILE or data=DIRECTORY, or cache=FILE")
    for file in (source.dump, source.cache):
        if file and not (file.is_file() and file.stat().st_size):
            raise BackupError(f"{file} is no file with anything in it")
    if source.cache and not _begins(source.cache, _SNAPSHOT):
        raise BackupError(f"{source.cache} is no snapshot of Redis: on the old host BGSAVE writes dump.rdb")
    if source.dump and not (is_custom(source.dump) or _is_whole(source.dump)):
        raise BackupError(
            f"{source.dump} is no dump in the custom format, and no whole plain one: its last lines lack "
            f"'{_END.decode()}'. Dump it again (pg_dump --format=custom), and copy all of it"
        )
    if source.data:
        _refuse_directory(source.data)


def refuse_provided(settings: Mapping[str, Any], source: Source) -> None:
    """Whether what is given belongs into services that are here: a provider's are not loaded beside and exchanged.

    Raises:
        BackupError: one of them is at a provider.
    """
    for given, service, argument in (
        (source.dump or source.data, "postgres", "dump= and data= have"),
        (source.cache, "redis", "cache= has"),
    ):
        if given and is_managed(settings, service):
            raise BackupError(
                f"{NAMES[service]} is at a provider ({place(settings, service)}), and {argument} no place here: "
                "docs/managed.md has how data are brought there"
            )


def _refuse_directory(data: Path) -> None:
    version = data / "PG_VERSION"
    if not version.is_file():
        raise BackupError(
            f"{data} has no PG_VERSION: it is no data directory of PostgreSQL (is it one level deeper?)"
        )
    major = version.read_text().strip()
    if major != str(MAJOR):
        raise BackupError(
            f"{data} is of PostgreSQL {major} and this droplet has {MAJOR}: another major version moves by a dump "
            "(pg_dump --format=custom), and then dump=FILE"
        )
    if not (data / "global/pg_control").is_file():
        raise BackupError(
            f"{data} has no global/pg_control: it is not whole. Copy it again, with its server stopped"
        )
    if (data / "postmaster.pid").exists():
        raise BackupError(
            f"{data} has a postmaster.pid: its server runs, or was copied while it ran. Stop it, and copy again"
        )
    if (data / "backup_label").exists() or (data / "standby.signal").exists():
        raise BackupError(f"{data} is a base backup or a standby's: promote it, or take a dump")


def is_custom(dump: Path) -> bool:
    """Whether a dump is in pg_dump's custom format; otherwise it is a plain one."""
    return _begins(dump, _CUSTOM)


def _begins(file: Path, words: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(words)) == words


def _is_whole(dump: Path) -> bool:
    with dump.open("rb") as stream:
        stream.seek(max(0, dump.stat().st_size - _END_BYTES))
        return _END in stream.read().splitlines()
