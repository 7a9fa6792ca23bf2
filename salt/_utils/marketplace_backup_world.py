"""What backups touch, in one place."""

import subprocess
from dataclasses import dataclass

from marketplace_backups import Catalogue
from marketplace_barman import Barman
from marketplace_clock import Clock
from marketplace_database import Database
from marketplace_docker import Docker
from marketplace_host import Host
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_provider_database import database_of
from marketplace_receiver import Receiver
from marketplace_spool import Spool

WHERE = "droplet"


class BackupError(Exception):
    """A backup cannot be taken, looked through or restored; the message says why and what to do."""


@dataclass(frozen=True)
class BackupWorld:
    """Everything outside the logic of backups."""

    paths: Paths
    catalogue: Catalogue
    barman: Barman
    receiver: Receiver
    docker: Docker
    database: Database
    host: Host
    spool: Spool
    lock: Lock
    ship_lock: Lock
    bulk_lock: Lock
    clock: Clock

    @classmethod
    def of(cls, paths: Paths) -> "BackupWorld":
        """The real world below ``paths``."""
        docker = Docker(paths.docker_config, paths.docker_socket)
        database = database_of(paths, docker)
        barman = Barman(paths.backups / "barman")
        return cls(
            paths=paths,
            catalogue=Catalogue(paths.backups),
            barman=barman,
            receiver=Receiver(database, barman),
            docker=docker,
            database=database,
            host=Host(paths.run / "pause"),
            spool=Spool(paths.spool),
            lock=Lock(paths.backup_lock, "backup", "wait for it; deploy.status shows who is at it"),
            ship_lock=Lock(paths.state / "ship.lock", "shipping", "the next round is in a minute"),
            bulk_lock=Lock(
                paths.state / "ship-backups.lock",
                "shipping of backups",
                "it goes on with the next ones by itself",
            ),
            clock=Clock(),
        )


# What goes wrong in the world rather than in the code.
TROUBLE = (BackupError, OSError, ValueError, subprocess.SubprocessError)
