"""The engine's effects in one place: what a release touches, so that it can be given another world in tests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_docker import Docker
from marketplace_durable import fsync_directory, make_directory, read_json, to_json, write_atomic
from marketplace_edge import Edge
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_probe import Probe
from marketplace_spool import Spool


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


class Journal:
    """What is in flight, written before each step acts; gone once the ledger has the record."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "current.json"

    def write(self, entry: dict[str, Any]) -> None:
        make_directory(self.directory)
        write_atomic(self.file, to_json(entry), mode=0o600)

    def read(self) -> dict[str, Any] | None:
        entry = read_json(self.file)
        return entry if isinstance(entry, dict) else None

    def clear(self) -> None:
        """Durably: an entry that came back after a power loss would be a release that never was."""
        if self.file.exists():
            self.file.unlink()
            fsync_directory(self.directory)


@dataclass(frozen=True)
class World:
    """Everything outside the engine's own logic."""

    paths: Paths
    docker: Docker
    edge: Edge
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
        return cls(
            paths=paths,
            docker=Docker(paths.docker_config),
            edge=Edge(paths.live_map, paths.admin_socket),
            ledger=Ledger(paths.ledger),
            journal=Journal(paths.journal),
            spool=Spool(paths.spool),
            probe=Probe(),
            clock=Clock(),
        )
