"""The logical dump: what moves a database to another major version, and what is left when files are of no use.

It is of one moment, once a week; any second is what base backups and the log are for. Made and read by the pinned
image's own programs.
"""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_world import TROUBLE, BackupError, BackupWorld
from marketplace_backups import Backup, digest_of
from marketplace_database import DatabaseError
from marketplace_durable import fsync_directory
from marketplace_lock import LockHeld
from marketplace_paths import Paths
from marketplace_units import amount

CONTAINER = "postgres"
LONGEST_SECONDS = 4 * 3600.0
# A nightly backup is done within that, or somebody has to look.
BUSY_SECONDS = 600.0
# A week, less what one night may begin earlier than another.
EVERY = timedelta(days=6, hours=12)

_TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def due(world: BackupWorld) -> bool:
    """Whether the newest good one is a week old, or of a database that was still empty, or there is none."""
    newest = world.catalogue.newest("dump")
    return newest is None or not newest.facts.get("tables") or world.clock.now() - newest.taken > EVERY


def take_dump(world: BackupWorld, settings: dict[str, Any]) -> Backup:
    """Dump the database and the server's roles, and have both read back.

    Raises:
        BackupError: a program failed; the message is its own.
    """
    begun = world.clock.now()
    place = world.paths.backups / "dump"
    place.mkdir(mode=0o700, exist_ok=True)
    identity = f"{begun:%Y%m%dT%H%M%S}"
    data, roles = place / f"{identity}.dump", place / f"{identity}.roles.sql"
    name = settings["postgres"]["database"]
    _write(data, ["pg_dump", "--username=postgres", "--format=custom", "--compress=zstd", name])
    _write(roles, ["pg_dumpall", "--username=postgres", "--globals-only"])
    # To nowhere, but all of it: the list of contents alone would be read from a file that ends half way, too.
    with data.open("rb") as stream:
        _run(["docker", "exec", "--interactive", CONTAINER, "pg_restore", "--file=/dev/null"], stream, None)
    for file in (data, roles):
        world.catalogue.disk.sync_file(file)
    fsync_directory(place)
    return Backup(
        kind="dump",
        id=identity,
        started=begun.isoformat(timespec="seconds"),
        ended=world.clock.now().isoformat(timespec="seconds"),
        bytes=sum(file.stat().st_size for file in (data, roles)),
        files={str(file.relative_to(world.paths.backups)): digest_of(file) for file in (data, roles)},
        facts={"tables": int(world.database.ask(name, _TABLES))},
    )


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
            BackupError: it could not be taken.
        """
        world = BackupWorld.of(self._paths)
        try:
            with world.lock.held(by, "a dump before a migration", wait=BUSY_SECONDS):
                dump = take_dump(world, settings)
                world.catalogue.add(dump)
        except (LockHeld, DatabaseError, *TROUBLE) as error:
            raise BackupError(str(error)) from error
        return f"{dump.id}, {amount(dump.bytes)}"


def _write(file: Path, command: list[str]) -> None:
    with file.open("wb") as stream:
        file.chmod(0o600)
        try:
            _run(["docker", "exec", CONTAINER, "nice", *command], None, stream)
        except BaseException:
            file.unlink(missing_ok=True)
            raise


def _run(command: list[str], given: Any, output: Any) -> None:
    done = subprocess.run(
        command,
        stdin=given or subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BackupError(
            f"{next(word for word in command if word.startswith('pg_'))}: {' / '.join(said[-3:])}"
        )
