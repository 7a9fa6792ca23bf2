"""Telegram, the host, and who answers at an address, in memory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError
from marketplace_contract import READY_PATH, VERSION_PATH
from marketplace_dump import Dumps
from marketplace_host import Host, HostError
from marketplace_probe import VERIFY_PORT, NoAnswer, Probe
from marketplace_telegram import Telegram

from tests.simulation.application import Application
from tests.simulation.database import SimDatabase
from tests.simulation.docker import SimDocker
from tests.simulation.edge import SimEdge
from tests.simulation.gate import Gate

PUBLIC_PORT = 443
WEBHOOK = "/telegram/webhook"
COLOURS = {"10.213.10.21": "blue", "10.213.10.22": "green"}


class SimTelegram(Telegram):
    """``said``: what getWebhookInfo says, one after the other; the last stays. None: Telegram is out of reach."""

    def __init__(self, gate: Gate, url: str) -> None:
        super().__init__(Path("/nowhere"))
        self.gate = gate
        self.url = url
        self.said: list[dict[str, Any] | None] = [{"pending_update_count": 0}]

    def webhook_info(self, url: str) -> dict[str, Any] | None:
        try:
            self.gate.look("telegram info", TimeoutError, 5)
        except TimeoutError:
            return None
        if url != self.url:
            return None
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]


class SimDumps(Dumps):
    """``taken``: the schema's heads in each, by who asked for it."""

    def __init__(self, gate: Gate, database: SimDatabase) -> None:
        self.gate = gate
        self.database = database
        self.taken: list[tuple[str, list[str]]] = []

    def take(self, settings: dict[str, Any], by: str) -> str:
        with self.gate.act("dump", BackupError, 600):
            self.taken.append((by, list(self.database.content.heads)))
        return "a dump"


class SimHost(Host):
    """``free_bytes``: on every disk; ``commands``: those that exist, and their exit code, or ``hangs``."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(Path("/nowhere"))
        self.gate = gate
        self.free_bytes = 20 << 30
        self.commands: dict[str, int | str] = {}
        self.ran: list[tuple[str, ...]] = []
        self.heard: Callable[[str], None] = lambda place: None

    def free(self, path: Path) -> tuple[int, int]:
        self.gate.look("host free", OSError)
        return self.free_bytes, 40 << 30

    def run(self, argv: Sequence[str], timeout: float, environment: Mapping[str, str]) -> str:
        with self.gate.act("host run", HostError, timeout):
            self.ran.append((*argv, environment["MARKETPLACE_RELEASE"]))
            code = self.commands.get(argv[0])
            if code is None:
                raise HostError(f"{argv[0]}: No such file or directory")
            if code == "hangs":
                raise HostError(f"{argv[0]} took longer than {timeout:.0f} s")
            if code:
                raise HostError(f"{argv[0]} failed with exit code {code}: no output")
        return ""

    def reached(self, step: str, when: str) -> None:
        with self.gate.act(f"reached {step}:{when}"):
            self.heard(f"{step}:{when}")


class SimProbe(Probe):
    """Answers as the containers behind the addresses would."""

    def __init__(self, gate: Gate, docker: SimDocker, edge: SimEdge, app: Application) -> None:
        self.gate = gate
        self.docker = docker
        self.edge = edge
        self.app = app

    def get(self, host: str, port: int, path: str, timeout: float = 5, tls: bool = False) -> tuple[int, Any]:
        self.gate.look(f"probe {path}", NoAnswer, timeout)
        if port not in (VERIFY_PORT, PUBLIC_PORT):
            return self._asked(COLOURS[host], f"{host}:{port}", path)
        public = port == PUBLIC_PORT
        if path not in ((WEBHOOK,) if public else (READY_PATH, VERSION_PATH)):
            return 404, None
        colour = self.edge.runtime
        if colour == "none":
            return 503, None
        status, document = self._asked(colour, f"{host}:{port}", path)
        self.edge.count(colour, self.edge.clock.seconds, status, public)
        return status, document

    def _asked(self, colour: str, address: str, path: str) -> tuple[int, Any]:
        container = self.docker.there.get(f"backend-{colour}")
        if container is None or not self.app.accepts(container):
            raise NoAnswer(f"{address} does not answer: connection refused")
        if path == WEBHOOK:
            return 405, None
        if path == VERSION_PATH:
            wrong = container.image.behaviour == "wrong_version"
            release = "another" if wrong else container.release
            return 200, {"release": release, "version": container.labels["marketplace.version"]}
        if not self.app.ready(container):
            return 503, {"status": "unready"}
        return 200, {"status": "ready"}
