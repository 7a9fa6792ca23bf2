"""The Health Status of the droplet: what each service says, judged by pure rules.

``healthy``: all well. ``degraded``: updates are accepted, something is impaired. ``unhealthy``: updates are not
accepted.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from marketplace_docker import ContainerState
from marketplace_release_compose import project
from marketplace_world import World

Statistics = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass(frozen=True)
class ServiceHealth:
    """One service: its status, why in words, and for how long (seconds; None where nobody knows)."""

    status: str
    detail: str
    since_seconds: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def judge(
    live: str | None, containers: Mapping[str, ContainerState], statistics: Statistics | None
) -> dict[str, ServiceHealth]:
    """Judge every service.

    Args:
        live: the live colour.
        containers: states of the containers that exist, by name.
        statistics: HAProxy's; None while it does not answer.
    """
    return {
        "backend": _backend(live, containers, statistics),
        "postgres": _service("postgres", containers, statistics),
        "redis": _service("redis", containers, statistics),
        "edge": ServiceHealth("healthy", "HAProxy answers")
        if statistics is not None
        else ServiceHealth(
            "unhealthy", "HAProxy does not answer on its admin socket; see: systemctl status haproxy"
        ),
    }


def overall(services: Mapping[str, ServiceHealth]) -> str:
    """The worst that counts: without edge or backend no update is accepted; anything else impairs."""
    if any(services[name].status == "unhealthy" for name in ("backend", "edge")):
        return "unhealthy"
    if any(service.status != "healthy" for service in services.values()):
        return "degraded"
    return "healthy"


def report(world: World) -> dict[str, Any]:
    """The Health Status entity: overall and per service, with time and diagnosis. Reads only."""
    live = world.edge.live()
    names = [*(project(colour) for colour in ([live] if live else [])), "postgres", "redis"]
    try:
        statistics: Statistics | None = world.edge.statistics()
    except Exception:
        statistics = None
    services = judge(live, world.docker.containers(*names), statistics)
    return {
        "status": overall(services),
        "time": world.clock.now().isoformat(timespec="seconds"),
        "services": {name: asdict(service) for name, service in services.items()},
    }


def _backend(
    live: str | None, containers: Mapping[str, ContainerState], statistics: Statistics | None
) -> ServiceHealth:
    if live is None:
        return ServiceHealth("unhealthy", "nothing was ever released; do: salt-call deploy.release")
    return _judged(project(live), f"check_{live}", containers, statistics)


def _service(
    name: str, containers: Mapping[str, ContainerState], statistics: Statistics | None
) -> ServiceHealth:
    return _judged(name, f"check_{name}", containers, statistics)


def _judged(
    name: str, check: str, containers: Mapping[str, ContainerState], statistics: Statistics | None
) -> ServiceHealth:
    state = containers.get(name)
    if state is None:
        return ServiceHealth("unhealthy", f"container {name} does not exist; do: salt-call state.apply")
    row = (statistics or {}).get((check, "BACKEND"), {})
    since = int(row["lastchg"]) if row.get("lastchg", "").isdigit() else None
    facts = {
        "container": state.status,
        "restarts": state.restarts,
        "started": _instant(state.started),
        "image": state.image,
        **{
            key: state.labels[f"marketplace.{key}"]
            for key in ("release", "version")
            if f"marketplace.{key}" in state.labels
        },
    }
    if not state.running:
        killed = ", killed for using more than its memory limit" if state.oom_killed else ""
        return ServiceHealth(
            "unhealthy",
            f"container {name} is {state.status} (exit code {state.exit_code}{killed})",
            since,
            facts,
        )
    if row.get("status", "").startswith("DOWN"):
        again = f", restarted {state.restarts} times" if state.restarts else ""
        return ServiceHealth(
            "unhealthy", f"{name} does not pass the edge's check for {since or 0} s{again}", since, facts
        )
    if state.health == "unhealthy":
        return ServiceHealth("degraded", f"{name} fails its own health check", since, facts)
    if state.health == "starting":
        return ServiceHealth("healthy", f"{name} answers; its own health check has just begun", since, facts)
    return ServiceHealth("healthy", f"{name} answers", since, facts)


def _instant(started: str) -> str:
    """Docker writes nanoseconds, which no ISO reader takes."""
    head = started.split(".")[0].rstrip("Z")
    return datetime.fromisoformat(head + "+00:00").isoformat(timespec="seconds")
