"""The Health Status of the droplet: what each service says, judged by pure rules.

``healthy``: all well. ``degraded``: updates are accepted, something is impaired. ``unhealthy``: updates are not
accepted.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from marketplace_container import ContainerState, DockerError
from marketplace_database import DatabaseError
from marketplace_edge import EdgeError
from marketplace_edge_certificate import Authority, AuthorityError
from marketplace_flood import flooding
from marketplace_health_data import Told
from marketplace_health_data import postgres as asked_postgres
from marketplace_health_data import redis as asked_redis
from marketplace_host import HostError
from marketplace_log_places import SHARES
from marketplace_log_reach import look
from marketplace_managed import SERVICES, ours, place, theirs
from marketplace_pressure import near_limit, usage
from marketplace_provider import ProviderError, ping
from marketplace_records import NOTHING_LIVE
from marketplace_release_compose import project, worker
from marketplace_renewals import overdue
from marketplace_secrets import Store, UnknownSecret
from marketplace_world import World

# What HAProxy calls a check that was answered, and not as it should be.
_ANSWERS = "L7RSP"

Statistics = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass(frozen=True)
class ServiceHealth:
    """One service: its status, why in words, and for how long (seconds; None where nobody knows)."""

    status: str
    detail: str
    since_seconds: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def judge(
    live: str | None,
    containers: Mapping[str, ContainerState] | None,
    statistics: Statistics | None,
    routed: str | None = None,
    elsewhere: Mapping[str, str] = {},
) -> dict[str, ServiceHealth]:
    """Judge every service.

    Args:
        live: the live colour by the file.
        containers: states of the containers that exist, by name; None while Docker does not answer.
        statistics: HAProxy's; None while it does not answer.
        routed: the live colour as HAProxy has it.
        elsewhere: services at a provider, and where.
    """

    def data(name: str) -> ServiceHealth:
        check = f"check_{name}"
        if name in elsewhere:
            return _provided(elsewhere[name], (statistics or {}).get((check, "BACKEND")))
        return _judged(name, check, containers, statistics)

    return {
        "backend": _backend(live, containers, statistics),
        "postgres": data("postgres"),
        "redis": data("redis"),
        "edge": _edge(live, statistics, routed),
    }


def overall(services: Mapping[str, ServiceHealth]) -> str:
    """The worst that counts: without edge or backend no update is accepted; anything else impairs."""
    if any(services[name].status == "unhealthy" for name in ("backend", "edge")):
        return "unhealthy"
    if any(service.status != "healthy" for service in services.values()):
        return "degraded"
    return "healthy"


def report(world: World, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The Health Status entity: overall and per service, with time and diagnosis. Reads only.

    Args:
        settings: the effective settings; None before the first state.apply.
    """
    elsewhere = {} if settings is None else {name: place(settings, name) for name in theirs(settings)}
    services, states = _services(world, elsewhere)
    for name in elsewhere:
        services[name] = _asked(world, settings or {}, name, services[name])
    if settings is not None:
        for name in ours(settings):
            services[name] = _figured(world, settings, name, services[name], states.get(name))
    if settings is not None and services["edge"].status != "unhealthy":
        services["edge"] = certified(services["edge"], _certificate(world, settings))
    if settings is not None:
        services["logs"] = _logs(world, settings)
    for found in (_overdue(world), _pressed(world, states), _cut_off(world)):
        for name, words in found.items():
            services[name] = impaired(services[name], words)
    closed = [keeper for keeper, on in world.edge.maintenance().items() if on]
    if closed and services["edge"].status != "unhealthy":
        words = f"closed for maintenance by {' and '.join(closed)}: updates wait at Telegram"
        edge = services["edge"]
        # Whatever impairs it as well, nobody is served.
        also = "" if edge.status == "healthy" else f"; {edge.detail}"
        services["edge"] = replace(edge, status="unhealthy", detail=f"{words}{also}")
    return {
        "status": overall(services),
        "time": world.clock.now().isoformat(timespec="seconds"),
        "services": {name: asdict(service) for name, service in services.items()},
    }


def impaired(service: ServiceHealth, words: str | None) -> ServiceHealth:
    """A service's health with something that impairs it besides, in words; None where nothing does."""
    if words is None:
        return service
    if service.status == "healthy":
        return replace(service, status="degraded", detail=words)
    return replace(service, detail=f"{service.detail}; {words}")


def _figured(
    world: World, settings: Mapping[str, Any], name: str, service: ServiceHealth, state: ContainerState | None
) -> ServiceHealth:
    """A service's health with what it says of itself; one that gives no answer is not waited for."""
    answers = service.status != "unhealthy" or service.facts.get("check") == _ANSWERS
    if state is None or not state.running or not answers:
        return service
    told: Told = asked_postgres(world, settings) if name == "postgres" else asked_redis(world, settings)
    return impaired(replace(service, facts=dict(service.facts) | dict(told.facts)), told.problem)


def _overdue(world: World) -> dict[str, str]:
    try:
        found = overdue(world.paths.renewals, world.clock.now())
    except ValueError as error:
        return {"postgres": str(error)}
    return {name: words for name, words in found.items() if name in ("postgres", "redis")}


def _pressed(world: World, states: Mapping[str, ContainerState | None]) -> dict[str, str]:
    """Services that are near one of their limits; ``states`` by service, None where it has no container."""
    found: dict[str, str] = {}
    for service, state in states.items():
        with contextlib.suppress(OSError):
            mount = world.paths.root / "srv/data" / service
            disk = world.host.free(mount) if mount.is_mount() else None
            words = near_limit(usage(state.pid) if state is not None and state.running else None, disk)
            if words:
                found[service] = words
    return found


def _cut_off(world: World) -> dict[str, str]:
    """Services of whose log lines some are dropped."""
    try:
        return flooding(world.host, {name: name for name in SHARES} | {"worker": "backend"})
    except HostError:  # Then the journal has trouble of its own, which is no service's.
        return {}


def _logs(world: World, settings: Mapping[str, Any]) -> ServiceHealth:
    """Whether every log reaches back as far as it should."""
    found = look(world, settings)
    if found:
        return ServiceHealth("degraded", "; ".join(one.words for one in found))
    return ServiceHealth("healthy", "every log has room for its days")


def certified(edge: ServiceHealth, found: Mapping[str, Any]) -> ServiceHealth:
    """The edge's health with that of its certificate (``Authority.status``)."""
    if not found["problem"]:
        return replace(edge, facts=dict(edge.facts) | {"certificate": dict(found)})
    status = "degraded" if found["usable"] else "unhealthy"
    words = found["problem"] if edge.status == "healthy" else f"{edge.detail}; {found['problem']}"
    return ServiceHealth(status, words, edge.since_seconds, dict(edge.facts) | {"certificate": dict(found)})


def _certificate(world: World, settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return Authority.of(world, settings).status()
    except (EdgeError, ValueError) as error:
        return {"problem": str(error), "usable": False}
    except AuthorityError as error:
        # Nobody can tell; Telegram need not mind.
        return {"problem": str(error), "usable": True, "unknown": True}


def _asked(world: World, settings: Mapping[str, Any], name: str, service: ServiceHealth) -> ServiceHealth:
    """A provider's service, asked as the backend asks it: the edge's check sees only that somebody is there."""
    try:
        if name == "postgres":
            world.database.check(settings["postgres"]["database"])
        else:
            ping(settings, Store(world.paths.secrets).read("redis_app_password"))
    except (DatabaseError, ProviderError, UnknownSecret) as error:
        return ServiceHealth("unhealthy", str(error), service.since_seconds, service.facts)
    return service


def _provided(place: str, row: Mapping[str, str] | None) -> ServiceHealth:
    facts = {"provider": place}
    if row is None:
        return ServiceHealth(
            "degraded", f"at its provider ({place}); the edge, which checks it, is silent", None, facts
        )
    since = int(row["lastchg"]) if row.get("lastchg", "").isdigit() else None
    if not row.get("status", "").startswith("UP"):
        words = f"does not pass the edge's check at its provider ({place}) for {since or 0} s"
        return ServiceHealth("unhealthy", words, since, facts)
    return ServiceHealth("healthy", f"answers at its provider ({place})", since, facts)


def _services(
    world: World, elsewhere: Mapping[str, str]
) -> tuple[dict[str, ServiceHealth], dict[str, ContainerState | None]]:
    """Every service's health, and by service its container; no containers while nobody can tell."""
    statistics: Statistics | None = None
    routed = None
    with contextlib.suppress(EdgeError):
        statistics = world.edge.statistics()
        routed = world.edge.runtime_live()
    try:
        live = world.edge.live()
    except EdgeError as error:
        broken = ServiceHealth("unhealthy", str(error))
        return judge(None, None, statistics, None, elsewhere) | {"edge": broken}, {}
    names = {name: name for name in SERVICES if name not in elsewhere}
    names |= {"backend": project(live), "worker": worker(live)} if live else {}
    try:
        containers = world.docker.containers(*names.values())
    except DockerError:
        return judge(live, None, statistics, routed, elsewhere), {}
    states = {service: containers.get(name) for service, name in names.items()}
    services = judge(live, containers, statistics, routed, elsewhere)
    if (state := states.get("worker")) is not None:
        services["worker"] = judged_worker(state, releasing=world.lock.holder() is not None)
    return services, states


def judged_worker(state: ContainerState, releasing: bool) -> ServiceHealth:
    """The health of the live release's worker, of which there is one at most: updates are accepted without it."""
    if state.running:
        if state.health == "unhealthy":
            return ServiceHealth("degraded", f"{state.name} fails its own health check", None, _facts(state))
        return ServiceHealth("healthy", f"{state.name} runs", None, _facts(state))
    if releasing:
        return ServiceHealth(
            "healthy", f"{state.name} stands while a release is on its way", None, _facts(state)
        )
    return ServiceHealth("unhealthy", _ended(state), None, _facts(state))


def _edge(live: str | None, statistics: Statistics | None, routed: str | None) -> ServiceHealth:
    if statistics is None:
        return ServiceHealth(
            "unhealthy", "HAProxy does not answer on its admin socket; see: systemctl status haproxy"
        )
    if routed is not None and routed != (live or "none"):
        return ServiceHealth(
            "degraded",
            f"HAProxy routes to {routed}, live.map says {live or 'none'}; do: salt-call deploy.resume",
        )
    return ServiceHealth("healthy", "HAProxy answers")


def _backend(
    live: str | None, containers: Mapping[str, ContainerState] | None, statistics: Statistics | None
) -> ServiceHealth:
    if live is None:
        return ServiceHealth("unhealthy", NOTHING_LIVE)
    return _judged(project(live), f"check_{live}", containers, statistics)


def _judged(
    name: str, check: str, containers: Mapping[str, ContainerState] | None, statistics: Statistics | None
) -> ServiceHealth:
    if containers is None:
        passes = (statistics or {}).get((check, "BACKEND"), {}).get("status", "").startswith("UP")
        answers = "passes the edge's check" if passes else "does not pass the edge's check"
        words = f"Docker does not answer (see: systemctl status docker); {name} {answers}"
        return ServiceHealth("degraded" if passes else "unhealthy", words)
    state = containers.get(name)
    if state is None:
        way = "deploy.resume" if name.startswith("backend-") else "state.apply"
        return ServiceHealth("unhealthy", f"container {name} does not exist; do: salt-call {way}")
    row = (statistics or {}).get((check, "BACKEND"), {})
    since = int(row["lastchg"]) if row.get("lastchg", "").isdigit() else None
    facts = _facts(state)
    if not state.running:
        return ServiceHealth("unhealthy", _ended(state), since, facts)
    server = (statistics or {}).get((check, check.removeprefix("check_")), {})
    facts["check"] = server.get("check_status", "").removeprefix("* ")
    if row.get("status", "").startswith("DOWN"):
        again = f", restarted {state.restarts} times in all" if state.restarts else ""
        return ServiceHealth(
            "unhealthy", f"{name} does not pass the edge's check for {since or 0} s{again}", since, facts
        )
    if state.health == "unhealthy":
        return ServiceHealth("degraded", f"{name} fails its own health check", since, facts)
    if state.health == "starting":
        return ServiceHealth("healthy", f"{name} answers; its own health check has just begun", since, facts)
    if statistics is None:
        return ServiceHealth("degraded", f"{name} runs; the edge, which checks it, is silent", since, facts)
    return ServiceHealth("healthy", f"{name} answers", since, facts)


def _ended(state: ContainerState) -> str:
    killed = ", killed, most likely for its memory limit" if state.killed else ""
    return f"container {state.name} is {state.status} (exit code {state.exit_code}{killed})"


def _facts(state: ContainerState) -> dict[str, Any]:
    return {
        "container": state.status,
        "restarts": state.restarts,
        "started": state.begun.isoformat(timespec="seconds"),
        "image": state.image,
        **{
            key: state.labels[f"marketplace.{key}"]
            for key in ("release", "version")
            if f"marketplace.{key}" in state.labels
        },
    }
