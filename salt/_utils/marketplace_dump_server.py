"""A dump in a server of its own, beside whatever is live: to be compared, or looked into."""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from marketplace_backup_room import refuse_below
from marketplace_backup_world import BackupError
from marketplace_backups import Backup
from marketplace_database import run
from marketplace_managed import home
from marketplace_recovery import INSIDE, Recovery
from marketplace_units import amount

# A new, empty server is up within moments.
START_SECONDS = 120.0
# Of a dump's size: it is compressed, and indexes are not in it.
UNPACKED = 6


def choose_dump(
    dumps: Iterable[Backup], settings: Mapping[str, Any], time: datetime | None, now: datetime
) -> Backup:
    """The newest good dump, of where the database is now, that is not younger than ``time``.

    Raises:
        BackupError: there is none, or the time is still to come.
    """
    if time is not None and time > now:
        raise BackupError(f"time is {time.isoformat(timespec='seconds')}, which is still to come")
    usable = (dump for dump in dumps if dump.good and "rows" in dump.facts and dump.of_now(settings))
    good = sorted(usable, key=lambda dump: dump.taken)
    if not good:
        raise BackupError(
            f"there is no good dump of the database at {home(settings)}: backup.create takes one"
        )
    early = [dump for dump in good if time is None or dump.taken <= time]
    if not early:
        raise BackupError(
            f"the oldest good dump is of {good[0].taken.isoformat(timespec='seconds')}: what was before, only the "
            "provider's own backups may have"
        )
    return early[-1]


class DumpServer(Recovery):
    """A server that knows no network, with nothing but a dump in it."""

    def load(self, dump: Backup, passing: bool = False) -> str:
        """Make the server, and restore the dump into it; in words, how large it is.

        Args:
            dump: the backup.
            passing: whether it is thrown away again within minutes.

        Raises:
            BackupError: there is no room, or the server does not come up.
            DatabaseError: the dump can't be restored.
        """
        advice = ": give it more (backup:disk)"
        refuse_below(self.world, self.directory.parent, dump.bytes * UNPACKED, advice, passing)
        self._start_empty()
        name = self.settings["postgres"]["database"]
        if (
            self.database.ask("postgres", "SELECT string_agg(datname, ' ') FROM pg_database")
            .split()
            .count(name)
            == 0
        ):
            self.database.script("postgres", f'CREATE DATABASE "{name}";\n')
        restore = ("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={name}")
        with (self.world.paths.backups / next(iter(dump.files))).open("rb") as stream:
            run(self.database.command(*restore), stdin=stream)
        return f"dump {dump.id} restored: {amount(self.database.size(name))}"

    def _start_empty(self) -> None:
        self.discard()
        self.directory.mkdir(mode=0o700)
        os.chown(self.directory, *self._owner)
        image = self.settings["postgres"]["reference"]
        if self.world.docker.image(image) is None:
            self.world.docker.pull(image)
        made = self.world.docker.run_once(
            [
                "--rm", *self._confined(), "--entrypoint=initdb", image, "-D", INSIDE, "--username=postgres",
                "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8", "--no-sync",
            ],
            timeout=START_SECONDS,
        )  # fmt: skip
        if made.returncode != 0:
            raise BackupError(
                f"no server can be made for the dump: {(made.stderr or made.stdout).strip()[-500:]}"
            )
        memory = self.settings["backup"]["limits"]["memory"] // 4 // 1024 // 1024
        options = {
            "listen_addresses": "",
            "shared_buffers": f"{memory}MB",
            "maintenance_work_mem": "32MB",
            "autovacuum": "off",
            "fsync": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        started = self.world.docker.run_once(
            [
                "--detach", f"--name={self.name}", f"--hostname={self.name}", *self._confined(),
                "--entrypoint=postgres", image, "-D", INSIDE, *settings,
            ],
            timeout=START_SECONDS,
        )  # fmt: skip
        if started.returncode != 0 or not self.world.clock.wait_until(
            self._is_open, timeout=START_SECONDS, interval=0.2
        ):
            said = started.stderr.strip() or self.world.docker.logs(self.name, 5)
            raise BackupError(f"the server for the dump does not start: {said[-500:]}")
