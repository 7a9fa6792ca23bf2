"""The logical dump: what moves a database to another major version, and what is left when files are of no use.

It is of one moment, once a week; any second is what base backups and the log are for. Of a database at a provider it is
all that is backed up here, and taken with every backup. Made and read by PostgreSQL's own programs, beside the
server's container, and counted in the same moment, so that a restore can be compared with it row for row.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_room import as_before, refuse_below
from marketplace_backup_world import TROUBLE, BackupError, BackupWorld
from marketplace_backups import Backup, file_digest
from marketplace_census import Census, exported
from marketplace_database import Command, Database, DatabaseError, run, surroundings
from marketplace_durable import fsync_directory
from marketplace_lock import LockHeld
from marketplace_managed import home, is_managed
from marketplace_paths import Paths
from marketplace_units import amount

# A nightly backup is done within that, or somebody has to look.
BUSY_SECONDS = 600.0
# A week, less what one night may begin earlier than another.
EVERY = timedelta(days=6, hours=12)
# Counting and dumping wait for each other by a pipe; a server that hangs is ended.
SNAPSHOT_SECONDS = 3600.0


def due(world: BackupWorld, settings: Mapping[str, Any]) -> bool:
    """Whether it is time for one: the newest good one is a week old, or of a database that was still empty, or there is
    none of where it is now; and always where there is nothing else."""
    if is_managed(settings, "postgres"):
        return True
    newest = next((dump for dump in world.catalogue.of("dump") if dump.good and dump.of_now(settings)), None)
    return newest is None or not newest.facts.get("tables") or world.clock.now() - newest.taken > EVERY


def dump_bytes(world: BackupWorld, settings: Mapping[str, Any]) -> int:
    """About how many bytes the next one takes."""
    return as_before(world, "dump") or half_of(world, settings)


def half_of(world: BackupWorld, settings: Mapping[str, Any]) -> int:
    """Bytes that what is packed takes at most, of a database of which there was never a backup."""
    return world.database.size(settings["postgres"]["database"]) // 2


def take_dump(world: BackupWorld, settings: dict[str, Any]) -> Backup:
    """Dump the database, and the server's roles where the server is ours, and have the dump read back.

    Raises:
        BackupError: a program failed; the message is its own.
        DatabaseError: likewise.
    """
    begun = world.clock.now()
    place = world.paths.backups / "dump"
    place.mkdir(mode=0o700, exist_ok=True)
    identity = f"{begun:%Y%m%dT%H%M%S}"
    data, roles = place / f"{identity}.dump", place / f"{identity}.roles.sql"
    name, database = settings["postgres"]["database"], world.database
    with counted(database, name) as (snapshot, found):
        dump = ("pg_dump", f"--snapshot={snapshot}", "--format=custom", "--compress=zstd", f"--dbname={name}")
        _write(data, database.beside(*dump))
    files = [data]
    if not is_managed(settings, "postgres"):
        _write(roles, database.beside("pg_dumpall", "--globals-only"))
        files.append(roles)
    # To nowhere, but all of it: the list of contents alone would be read from a file that ends half way, too.
    with data.open("rb") as stream:
        run(database.beside("pg_restore", "--file=/dev/null"), stdin=stream)
    for file in files:
        world.catalogue.disk.sync_file(file)
    fsync_directory(place)
    return Backup(
        kind="dump",
        id=identity,
        started=begun.isoformat(timespec="seconds"),
        ended=world.clock.now().isoformat(timespec="seconds"),
        bytes=sum(file.stat().st_size for file in files),
        files={str(file.relative_to(world.paths.backups)): file_digest(file) for file in files},
        facts={
            "tables": len(found.rows),
            "rows": found.rows,
            "heads": list(found.heads),
            "place": home(settings),
        },
    )


@contextmanager
def counted(database: Database, name: str) -> Iterator[tuple[str, Census]]:
    """What is in database ``name`` at one moment, which others can look at during the block by the snapshot's name.

    Raises:
        DatabaseError: it cannot be asked.
    """
    psql = database.command("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", f"--dbname={name}")
    with subprocess.Popen(
        ["timeout", f"{SNAPSHOT_SECONDS:.0f}", *psql.argv],
        env=surroundings(psql),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as asked:
        try:
            if asked.stdin is None or asked.stdout is None or asked.stderr is None:
                raise DatabaseError("psql was started without pipes")
            asked.stdin.write(exported())
            snapshot, answer = asked.stdout.readline().strip(), asked.stdout.readline()
            if not answer:
                raise DatabaseError(f"PostgreSQL: {asked.stderr.read().strip() or 'no answer'}")
            yield snapshot, Census.parse(answer)
        except BrokenPipeError:
            raise DatabaseError("PostgreSQL hung up") from None
        finally:
            asked.terminate()


class Dumps:
    """Dumps that a release takes before it does what nothing brings back.

    Args:
        paths: the droplet's.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def take(self, settings: dict[str, Any], by: str) -> str:
        """Take one, and list it among the backups; in words, what it is.

        Raises:
            BackupError: it could not be taken, or there is no room for it.
        """
        world = BackupWorld.of(self._paths)
        try:
            with world.lock.held(by, "a dump before a migration", wait=BUSY_SECONDS):
                needed = dump_bytes(world, settings)
                refuse_below(
                    world,
                    world.paths.backups,
                    needed,
                    ": backup.create makes room, or else a larger backup:disk",
                )
                dump = take_dump(world, settings)
                world.catalogue.add(dump)
        except (LockHeld, DatabaseError, *TROUBLE) as error:
            raise BackupError(str(error)) from error
        return f"{dump.id}, {amount(dump.bytes)}"


def _write(file: Path, command: Command) -> None:
    with file.open("wb") as stream:
        file.chmod(0o600)
        try:
            run(command, stdout=stream)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
