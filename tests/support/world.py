"""An in-memory droplet for the engine: containers, images, an edge and a clock that nobody has to wait for.

Files (ledger, journal, live map, spool) are real, in a temporary directory.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from marketplace_docker import ContainerState, Docker, DockerError, ImageFacts
from marketplace_edge import Edge, EdgeError
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_probe import VERIFY_PORT, NoAnswer, Probe
from marketplace_spool import Spool
from marketplace_world import Clock, Journal, World

REPOSITORY = "registry.test/marketplace"
LABELS = {
    "marketplace.contract": "1",
    "marketplace.port": "8080",
    "marketplace.health.live": "/health/live",
    "marketplace.health.ready": "/health/ready",
    "marketplace.version.path": "/version",
    "marketplace.migrate": '["alembic","upgrade","head"]',
    "marketplace.migrate.current": '["alembic","current"]',
    "marketplace.migrate.heads": '["alembic","heads"]',
}


def settings() -> dict[str, Any]:
    """The settings that a release reads, as in settings.json."""
    return {
        "environment": "development",
        "network": {"app": {"name": "app"}, "data": {"name": "data"}},
        "backend": {
            "image": REPOSITORY,
            "version": "1.0.0",
            "user": "10001:10001",
            "port": 8080,
            "limits": {"memory": 256 << 20, "cpus": 0.5, "pids": 128},
            "environment": {"LOG_LEVEL": "info"},
            "ready_timeout": 30,
            "stop_grace": 20,
            "migration_timeout": 60,
            "addresses": {
                "blue": {"app": "10.213.10.21", "data": "10.213.20.21"},
                "green": {"app": "10.213.10.22", "data": "10.213.20.22"},
                "migration": {"app": "10.213.10.30", "data": "10.213.20.30"},
            },
        },
        "postgres": {
            "address": "10.213.20.10",
            "port": 5432,
            "database": "marketplace",
            "roles": {"owner": "marketplace_owner", "application": "marketplace_app"},
        },
        "redis": {"address": "10.213.20.11", "port": 6379, "users": {"application": "marketplace"}},
        "telegram": {"api_url": "http://botapi.test:8081"},
        "edge": {"webhook_path": "/telegram/webhook"},
    }


@dataclass
class Image:
    """An image in the registry, and how its containers behave."""

    digest: str
    heads: tuple[str, ...] = ("0001",)
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    has_healthcheck: bool = True
    behaviour: str = "good"  # or exits, never_ready, wrong_version
    migration: str = "good"  # or fails, lies


class FakeClock(Clock):
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def wait_until(self, condition: Callable[[], bool], timeout: float, interval: float = 0.2) -> bool:
        deadline = self.seconds + timeout
        while not condition():
            if self.seconds >= deadline:
                return False
            self.seconds += interval
        return True


class FakeDocker(Docker):
    """Docker with a registry of its own. ``calls`` tells what was asked of it, in order."""

    def __init__(self) -> None:
        self.registry: dict[str, Image] = {}
        self.local: dict[str, Image] = {}
        self.running: dict[str, ContainerState] = {}
        self.schema: list[str] = []
        self.calls: list[tuple[str, ...]] = []

    def push(self, version: str, image: Image) -> None:
        self.registry[f"{REPOSITORY}:{version}"] = image

    def image_of(self, reference: str) -> Image:
        digest = reference.rsplit("@", 1)[-1]
        for name, image in {**self.registry, **self.local}.items():
            if reference == name or image.digest == digest:
                return image
        raise DockerError(f"manifest unknown: {reference}")

    def pull(self, reference: str, timeout: float = 900) -> None:
        self.calls.append(("pull", reference))
        if reference not in self.registry and "@" not in reference:
            raise DockerError("docker pull failed: manifest unknown")
        self.local[reference] = self.image_of(reference)

    def image(self, reference: str) -> ImageFacts | None:
        image = self.local.get(reference)
        if image is None:
            return None
        digests = (f"{REPOSITORY}@{image.digest}",)
        return ImageFacts(image.digest, digests, image.labels, image.has_healthcheck)

    def tag(self, reference: str, name: str) -> None:
        self.calls.append(("tag", reference, name))
        self.local[name] = self.image_of(reference)

    def untag(self, name: str) -> None:
        self.local.pop(name, None)

    def containers(self, *names: str) -> dict[str, ContainerState]:
        return {name: self.running[name] for name in names if name in self.running}

    def start_project(self, file: Path, service: str, timeout: float = 120) -> None:
        document = yaml.safe_load(file.read_text())["services"][service]
        name = document["container_name"]
        self.calls.append(("start_project", name))
        image = self.image_of(document["image"])
        exits = image.behaviour == "exits"
        self.running[name] = ContainerState(
            name=name,
            status="exited" if exits else "running",
            health="healthy",
            exit_code=3 if exits else 0,
            restarts=0,
            oom_killed=False,
            started="2026-01-01T00:00:00.000000000Z",
            image=document["image"],
            labels=document["labels"],
        )

    def start(self, *names: str) -> None:
        self.calls.append(("start", *names))
        for name in names:
            self.running[name] = replace(self.running[name], status="running")

    def stop(self, *names: str, grace: int) -> None:
        for name in names:
            if name in self.running:
                self.calls.append(("stop", name))
                self.running[name] = replace(self.running[name], status="exited")

    def remove(self, *names: str) -> None:
        for name in names:
            if self.running.pop(name, None):
                self.calls.append(("remove", name))

    def logs(self, name: str, lines: int) -> str:
        return f"the last words of {name}"

    def run_once(self, arguments: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        reference = next(word for word in arguments if word.startswith(REPOSITORY))
        image = self.image_of(reference)
        what = arguments[-1]
        self.calls.append(("run_once", what))
        if what == "heads":
            return _completed(0, "\n".join(f"{head} (head)" for head in image.heads))
        if what == "current":
            return _completed(0, "\n".join(self.schema))
        if image.migration == "fails":
            return _completed(1, "", "relation already exists, password hunter2-hunter2")
        if image.migration == "good":
            self.schema = list(image.heads)
        return _completed(0, "")


def _completed(code: int, stdout: str, stderr: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, stdout, stderr)


class FakeEdge(Edge):
    """The real live map on disk, with a HAProxy that is a variable."""

    def __init__(self, live_map: Path, docker: FakeDocker) -> None:
        super().__init__(live_map, live_map.with_name("admin.sock"))
        self.docker = docker
        self.runtime = "none"
        self.answers = True

    def command(self, command: str) -> str:
        if not self.answers:
            raise EdgeError("HAProxy does not answer")
        words = command.split()
        if words[:2] == ["set", "map"]:
            self.runtime = words[-1]
            return ""
        if words[:2] == ["show", "map"]:
            return f"0x1 live {self.runtime}\n"
        if words == ["show", "stat"]:
            rows = ["# pxname,svname,scur,status,lastchg"]
            for colour in ("blue", "green"):
                state = self.docker.running.get(f"backend-{colour}")
                serves = (
                    state and state.running and self.docker.image_of(state.image).behaviour != "never_ready"
                )
                rows += [
                    f"be_{colour},BACKEND,0,UP,1",
                    f"check_{colour},BACKEND,0,{'UP' if serves else 'DOWN'},1",
                ]
            return "\n".join(rows) + "\n"
        raise AssertionError(f"unexpected command {command}")


class FakeProbe(Probe):
    """Answers as the containers behind the addresses would."""

    def __init__(self, docker: FakeDocker, edge: FakeEdge) -> None:
        self.docker = docker
        self.edge = edge

    def get(self, host: str, port: int, path: str, timeout: float = 5, tls: bool = False) -> tuple[int, Any]:
        colours = {"10.213.10.21": "blue", "10.213.10.22": "green"}
        colour = self.edge.runtime if port == VERIFY_PORT else colours[host]
        state = self.docker.running.get(f"backend-{colour}")
        if state is None or not state.running:
            raise NoAnswer(f"{host}:{port} does not answer: connection refused")
        behaviour = self.docker.image_of(state.image).behaviour
        if path == "/version":
            release = "another" if behaviour == "wrong_version" else state.labels["marketplace.release"]
            return 200, {"release": release, "version": state.labels["marketplace.version"]}
        if behaviour == "never_ready":
            return 503, {"status": "unready"}
        return 200, {"status": "ready"}


@dataclass
class Simulated:
    """The world and handles to bend it."""

    world: World
    docker: FakeDocker
    edge: FakeEdge
    clock: FakeClock

    @property
    def durable(self) -> dict[str, Any]:
        """What is durable: ids in the ledger, the live colour, whether something is in flight."""
        return {
            "ledger": self.world.ledger.ids(),
            "live": self.edge.live(),
            "in_flight": json.dumps(self.world.journal.read()),
        }


def simulated(root: Path) -> Simulated:
    """A droplet that was converged and where nothing was released yet."""
    paths = Paths(root)
    docker, clock = FakeDocker(), FakeClock()
    edge = FakeEdge(paths.live_map, docker)
    world = World(
        paths=paths,
        docker=docker,
        edge=edge,
        ledger=Ledger(paths.ledger),
        journal=Journal(paths.journal),
        spool=Spool(paths.spool),
        probe=FakeProbe(docker, edge),
        clock=clock,
    )
    return Simulated(world, docker, edge, clock)
