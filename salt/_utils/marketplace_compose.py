"""Pure decisions about a compose project: what is missing, stopped, left over, or runs with an older definition."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from marketplace_units import parse_duration


@dataclass(frozen=True)
class Container:
    """One container of the project, from ``docker inspect``.

    ``health`` is docker's word (``healthy``, ``starting``, ``unhealthy``), or ``none`` without a health check;
    ``started`` is seconds since the epoch, 0.0 when it never ran.
    """

    name: str
    service: str
    config_hash: str
    image: str
    running: bool
    health: str
    started: float
    restarts: int

    @classmethod
    def parse(cls, inspected: Mapping[str, Any]) -> "Container":
        labels = inspected["Config"].get("Labels") or {}
        state = inspected["State"]
        return cls(
            name=str(inspected["Name"]).lstrip("/"),
            service=labels.get("com.docker.compose.service", ""),
            config_hash=labels.get("com.docker.compose.config-hash", ""),
            image=str(inspected["Config"]["Image"]),
            running=bool(state["Running"]) and not state.get("Restarting", False),
            health=(state.get("Health") or {}).get("Status", "none"),
            started=parse_time(str(state.get("StartedAt", ""))),
            restarts=int(inspected.get("RestartCount", 0)),
        )

    @property
    def well(self) -> bool:
        return self.running and self.health in ("healthy", "none")


@dataclass(frozen=True)
class Service:
    """One service of the compose file, with the hash that compose gives to its definition.

    ``stop_grace`` is seconds.
    """

    name: str
    container: str
    image: str
    config_hash: str
    stop_grace: int = 10


@dataclass(frozen=True)
class Hold:
    """What a service's data directory holds ever since it was made.

    Attributes:
        service: the service's name.
        directory: its data directory.
        file: what is in there, relative to it.
        mark: a file elsewhere that says that it was seen; absolute.
    """

    service: str
    directory: str
    file: str
    mark: str

    @property
    def path(self) -> Path:
        return Path(self.directory) / self.file

    @property
    def lost(self) -> bool:
        """Whether the data is gone. A directory that is not there is another matter: nothing starts without it."""
        return Path(self.mark).exists() and Path(self.directory).exists() and not self.path.exists()

    @property
    def unmarked(self) -> bool:
        return self.path.exists() and not Path(self.mark).exists()


@dataclass(frozen=True)
class Plan:
    """What to do; each a tuple of names, or a mapping from them.

    Attributes:
        leftovers: containers that a killed compose left under a temporary name.
        retired: containers of services that are no longer to be.
        missing: services without a container.
        stopped: services whose container does not run.
        outdated: service -> why its container, running or not, would have to be made again.
        unread: service -> the files that it reads only at its start and that changed since.
        before: service -> the image of its container, where that is to be another.
    """

    leftovers: tuple[str, ...]
    missing: tuple[str, ...]
    stopped: tuple[str, ...]
    outdated: Mapping[str, str]
    unread: Mapping[str, str]
    before: Mapping[str, str]
    retired: tuple[str, ...] = ()

    @property
    def pending(self) -> dict[str, str]:
        """Service -> why it needs a restart."""
        return dict(self.unread) | dict(self.outdated)


def short(image: str) -> str:
    """An image's reference for people: of a digest they compare the beginning."""
    name, at, digest = image.partition("@sha256:")
    return f"{name}{at}{digest[:12]}"


def major(text: str) -> str:
    """The major version in what a program or a file says: ``17`` of ``postgres (PostgreSQL) 17.11``; "" for none."""
    found = re.search(r"\d+", text)
    return found.group() if found else ""


def parse_time(text: str) -> float:
    """Docker's RFC 3339 time with nanoseconds in seconds since the epoch; its zero time (year 1) is 0.0."""
    if not text or text.startswith("0001"):
        return 0.0
    seconds, _, rest = text.partition(".")
    fraction = rest.rstrip("Z")[:6] if rest else ""
    moment = datetime.fromisoformat(f"{seconds.rstrip('Z')}+00:00").timestamp()
    return moment + (float(f"0.{fraction}") if fraction else 0.0)


def parse_hashes(text: str) -> dict[str, str]:
    """Service -> hash, from ``docker compose config --hash '*'``."""
    return dict(line.split() for line in text.splitlines() if len(line.split()) == 2)


def services(document: Mapping[str, Any], hashes: Mapping[str, str]) -> list[Service]:
    """The services of a compose file's content.

    Raises:
        ValueError: a service has no ``container_name`` or no ``image``, or its ``stop_grace_period`` is no duration.
    """
    found = []
    for name, definition in document["services"].items():
        if not definition.get("container_name") or not definition.get("image"):
            raise ValueError(f"service {name} needs a container_name and an image")
        grace = parse_duration(definition.get("stop_grace_period", "10s"))
        container, image = definition["container_name"], definition["image"]
        found.append(Service(name, container, image, hashes.get(name, ""), grace))
    return found


def plan(
    wanted: list[Service],
    found: list[Container],
    read_at_start: Mapping[str, Mapping[str, float]],
    retired: frozenset[str] = frozenset(),
) -> Plan:
    """Compare the compose file with the project's containers.

    Args:
        wanted: the services of the file.
        found: every container of the project, running or not.
        read_at_start: service -> {file: when it was changed, seconds since the epoch}.
        retired: services that are no longer to be.
    """
    names = {service.container for service in wanted}
    by_name = {container.name: container for container in found if container.name in names}
    outdated: dict[str, str] = {}
    unread: dict[str, str] = {}
    before: dict[str, str] = {}
    for service in wanted:
        container = by_name.get(service.container)
        if container is None:
            continue
        if container.image != service.image:
            before[service.name] = container.image
            outdated[service.name] = f"image {short(container.image)} -> {short(service.image)}"
        elif container.config_hash != service.config_hash:
            outdated[service.name] = "definition changed"
        changed = [path for path, at in read_at_start.get(service.name, {}).items() if at > container.started]
        if changed and container.running:
            unread[service.name] = f"{', '.join(sorted(changed))} changed"
    return Plan(
        leftovers=tuple(sorted(c.name for c in found if _is_leftover(c.name, names))),
        missing=tuple(s.name for s in wanted if s.container not in by_name),
        stopped=tuple(s.name for s in wanted if s.container in by_name and not by_name[s.container].running),
        outdated=outdated,
        unread=unread,
        before=before,
        retired=tuple(sorted(container.name for container in found if container.service in retired)),
    )


def _is_leftover(name: str, names: set[str]) -> bool:
    """Compose gives a container that it replaces such a name; an operator's ``compose run`` has another."""
    found = re.fullmatch(r"[0-9a-f]{12}_(.+)", name)
    return bool(found and found[1] in names)


def unwell(wanted: list[Service], found: list[Container]) -> dict[str, str]:
    """Container -> what is wrong, for every wanted container that is not running and healthy."""
    by_name = {container.name: container for container in found}
    problems = {}
    for service in wanted:
        container = by_name.get(service.container)
        if container is None:
            problems[service.container] = "does not exist"
        elif not container.running:
            problems[service.container] = f"does not run (restarted {container.restarts} times)"
        elif not container.well:
            problems[service.container] = f"is {container.health}"
    return problems
