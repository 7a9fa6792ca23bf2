"""The engine's effects in one place: what a release touches, so that it can be given another world in tests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from marketplace_database import Database
from marketplace_docker import Docker
from marketplace_durable import DISK, Disk
from marketplace_edge import Edge
from marketplace_host import Host
from marketplace_journal import Journal
from marketplace_ledger import Ledger
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_probe import Probe
from marketplace_spool import Spool
from marketplace_telegram import Telegram


class Clock:
    """Time, and waiting for a condition."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait_until(self, condition: Callable[[], bool], timeout: float, interval: float = 0.2) -> bool:
        """Ask ``condition`` every ``interval`` seconds, ``timeout`` seconds long; whether it came true."""
        deadline = self.monotonic() + timeout
        while not condition():
            if self.monotonic() >= deadline:
                return False
            time.sleep(interval)
        return True


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
        docker = Docker(paths.docker_config)
        return cls(
            paths=paths,
            disk=DISK,
            lock=Lock(paths.lock),
            jobs_lock=Lock(paths.jobs_lock, "jobs", "try again"),
            docker=docker,
            edge=Edge(paths.live_map, paths.maintenance_map, paths.admin_socket),
            database=Database(docker),
            telegram=Telegram(paths.secrets / "telegram_token"),
            host=Host(paths.run / "pause"),
            ledger=Ledger(paths.ledger),
            journal=Journal(paths.journal),
            spool=Spool(paths.spool),
            probe=Probe(),
            clock=Clock(),
        )
