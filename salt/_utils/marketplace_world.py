"""The engine's effects in one place: what a release touches, so that it can be given another world in tests."""

from dataclasses import dataclass

from marketplace_clock import Clock
from marketplace_database import Database
from marketplace_docker import Docker
from marketplace_dump import Dumps
from marketplace_durable import DISK, Disk
from marketplace_edge import Edge
from marketplace_host import Host
from marketplace_journal import Journal
from marketplace_ledger import Ledger
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_probe import Probe
from marketplace_provider_database import database_of
from marketplace_spool import Spool
from marketplace_telegram import Telegram


@dataclass(frozen=True)
class World:
    """Everything outside the engine's own logic."""

    paths: Paths
    disk: Disk
    lock: Lock
    jobs_lock: Lock
    docker: Docker
    edge: Edge
    database: Database
    dumps: Dumps
    telegram: Telegram
    host: Host
    ledger: Ledger
    journal: Journal
    spool: Spool
    probe: Probe
    clock: Clock

    def scrubbed(self, text: str) -> str:
        """``text`` of others (logs, a migration's output) without the store's secrets: records are kept for good."""
        secrets = (file.read_text().strip() for file in self.paths.secrets.glob("*") if file.is_file())
        for secret in sorted((secret for secret in secrets if len(secret) >= 6), key=len, reverse=True):
            text = text.replace(secret, "(secret)")
        return text

    @classmethod
    def of(cls, paths: Paths) -> "World":
        """The real world below ``paths``."""
        docker = Docker(paths.docker_config, paths.docker_socket)
        return cls(
            paths=paths,
            disk=DISK,
            lock=Lock(paths.lock),
            jobs_lock=Lock(paths.jobs_lock, "jobs", "try again"),
            docker=docker,
            edge=Edge(paths.live_map, paths.maintenance_map, paths.admin_socket),
            database=database_of(paths, docker),
            dumps=Dumps(paths),
            telegram=Telegram(paths.secrets / "telegram_token"),
            host=Host(paths.run / "pause"),
            ledger=Ledger(paths.ledger),
            journal=Journal(paths.journal),
            spool=Spool(paths.spool),
            probe=Probe(),
            clock=Clock(),
        )
