"""What must hold between settings: sums, overlaps, names that mustn't be equal, placeholders."""

import ipaddress
import itertools
from collections.abc import Iterator
from typing import Any

from marketplace_managed import SERVICES
from marketplace_metrics import measuring
from marketplace_settings_fields import INVALID, Problem, walk
from marketplace_settings_kinds_net import registry_of
from marketplace_settings_model_data import Postgres, Redis
from marketplace_settings_model_watch import FULL
from marketplace_tuning import redis_maxmemory
from marketplace_units import MIB, format_size

# SC-010: at most this share of memory and disk may be promised.
SHARE = 0.8
_CONNECTION = 2 * MIB
# Processes of PostgreSQL that are no connections: its own, autovacuum, parallel workers, health checks, psql.
_PROCESSES = 64
# Of a service at a provider: what a client, a dump and a drill are made with here.
_OF_CLIENTS = ("managed.", "image", "tag", "digest")
_SECTIONS = {"postgres": Postgres, "redis": Redis}
_PLACEHOLDERS = (".example", "example.com", "example.net", "example.org", ".invalid", "localhost")


class View:
    """Settings by dotted path, where any of them may be INVALID."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __call__(self, path: str) -> Any:
        value: Any = self._values
        for part in path.split("."):
            value = value[part] if isinstance(value, dict) else INVALID
        return value

    def sound(self, *paths: str) -> list[Any] | None:
        """The values at ``paths``, or None while one of them has a problem of its own."""
        values = [self(path) for path in paths]
        return None if any(value is INVALID for value in values) else values


def managed_services(view: View) -> tuple[str, ...]:
    """The services that are at a provider, as far as that can be told; a host that is wrong is meant to be one."""
    return tuple(service for service in SERVICES if view(f"{service}.managed.host"))


def _here(view: View) -> tuple[str, ...]:
    managed = managed_services(view)
    return tuple(service for service in SERVICES if service not in managed)


def check(values: dict[str, Any]) -> Iterator[Problem]:
    """Every problem between the settings in ``values``; a setting that is INVALID is left out."""
    view = View(values)
    for rule in (
        _managed,
        _memory,
        _disk,
        _disk_reserve,
        _cpus,
        _redis_disk,
        _connections,
        _processes,
        _overlaps,
        _roles,
        _users,
        _registry,
        _api,
        _root,
        _storage,
        _email,
        _placeholders,
    ):
        yield from rule(view)


def _sum(view: View, what: str, parts: tuple[tuple[str, int], ...]) -> Iterator[Problem]:
    found = view.sound(f"droplet.{what}", *(path for path, _ in parts))
    if found is None:
        return
    total, amounts = found[0], found[1:]
    allowed = int(total * SHARE)
    needed = sum(amount * times for amount, (_, times) in zip(amounts, parts, strict=True))
    if needed <= allowed:
        return
    listed = " + ".join(
        f"{f'{times} x ' if times > 1 else ''}{path} {format_size(amount)}"
        for amount, (path, times) in zip(amounts, parts, strict=True)
    )
    yield Problem(
        f"droplet.{what}",
        f"is {format_size(total)}, of which 80% ({format_size(allowed)}) may be promised, but"
        f" {listed} = {format_size(needed)}",
        f"limits that are {format_size(needed - allowed)} lower in sum, or a larger droplet",
    )


def _memory(view: View) -> Iterator[Problem]:
    # Two colours run during a release. A migration runs in the second one's place, so it isn't counted. A job and a
    # drill may come in the middle of that.
    services = (("backend.limits.memory", 2), *((f"{name}.limits.memory", 1) for name in _here(view)))
    others = (
        ("backend.limits.job_memory", 1),
        ("backup.limits.memory", 1),
        ("monitoring.limits.memory", 2),
        ("droplet.reserve.memory", 1),
    )
    exporters = len(measuring(managed_services(view)))
    metrics = (("monitoring.metrics.memory", 1), ("monitoring.metrics.exporter_memory", exporters))
    return _sum(view, "memory", (*services, *others, *(metrics if _measures(view) else ())))


def _measures(view: View) -> bool:
    """Whether there is a Prometheus; what is said of it counts only then."""
    return bool(view("monitoring.strength") == FULL)


def _disk(view: View) -> Iterator[Problem]:
    parts = ((path, 1) for path in (*_on_own_disk(view), "droplet.reserve.disk"))
    return _sum(view, "disk", tuple(parts))


def _on_own_disk(view: View) -> tuple[str, ...]:
    """What is promised of the droplet's own disk; what is on a block volume takes nothing of it."""
    services = (name for name in (*_here(view), "backup") if not view(f"{name}.device"))
    metrics = ("monitoring.metrics.size",) if _measures(view) else ()
    return (*(f"{name}.disk" for name in services), "droplet.swap", "logs.size", *metrics)


def _disk_reserve(view: View) -> Iterator[Problem]:
    taken = _on_own_disk(view)
    found = view.sound("backend.disk_reserve", "droplet.disk", *taken)
    if found is None:
        return
    reserve, left = found[0], found[1] - sum(found[2:])
    # A droplet that is promised to too much already is told so by its own rule.
    if reserve >= left > 0:
        wrong = f"is {format_size(reserve)}, but {', '.join(taken)} leave {format_size(left)} of droplet.disk"
        yield Problem("backend.disk_reserve", wrong, "2G: no release could leave that much free")


def _cpus(view: View) -> Iterator[Problem]:
    """CPU time is shared, not used up: what runs all the time must fit, a release may go beyond it for a moment."""
    paths = [f"{service}.limits.cpus" for service in ("backend", *_here(view))]
    found = view.sound("droplet.cpus", *paths)
    if found is None or sum(found[1:]) <= found[0]:
        return
    listed = " + ".join(f"{path} {value}" for path, value in zip(paths, found[1:], strict=True))
    yield Problem(
        "droplet.cpus", f"is {found[0]}, but {listed} is more", "limits that fit, or a larger droplet"
    )


def _redis_disk(view: View) -> Iterator[Problem]:
    found = view.sound("redis.disk", "redis.limits.memory")
    if found is None:
        return
    # The old snapshot, the new one while it is written, and room to spare.
    needed = 3 * redis_maxmemory(found[1])
    if found[0] < needed:
        wrong = f"is {format_size(found[0])}, too small for snapshots of redis.limits.memory {format_size(found[1])}"
        yield Problem("redis.disk", wrong, f"at least {format_size(needed)}")


def _connections(view: View) -> Iterator[Problem]:
    found = view.sound("postgres.max_connections", "postgres.limits.memory")
    # A connection is a process with 2 MiB or more of its own; half the memory is the most that all may take.
    if found is not None and found[0] * _CONNECTION > found[1] // 2:
        most = found[1] // 2 // _CONNECTION
        wrong = f"is {found[0]}, too many for postgres.limits.memory {format_size(found[1])}"
        yield Problem("postgres.max_connections", wrong, f"{most} or less")


def _processes(view: View) -> Iterator[Problem]:
    found = view.sound("postgres.limits.pids", "postgres.max_connections")
    if found is not None and found[0] < found[1] + _PROCESSES:
        each = f"each of postgres.max_connections {found[1]} is a process"
        wrong = f"is {found[0]}, but {each}, and {_PROCESSES} more are needed"
        yield Problem("postgres.limits.pids", wrong, f"{found[1] + _PROCESSES}")


def _overlaps(view: View) -> Iterator[Problem]:
    paths = ("network.docker.subnet", "network.docker.pool", "network.app.subnet", "network.data.subnet")
    for first, second in itertools.combinations(paths, 2):
        found = view.sound(first, second)
        if found and ipaddress.IPv4Network(found[0]).overlaps(ipaddress.IPv4Network(found[1])):
            yield Problem(
                second, f"is {found[1]}, which overlaps {first} {found[0]}", "networks apart from each other"
            )


def _apart(view: View, parent: str, names: tuple[str, ...], example: str) -> Iterator[Problem]:
    for first, second in itertools.combinations(names, 2):
        found = view.sound(f"{parent}.{first}", f"{parent}.{second}")
        if found and found[0] == found[1]:
            yield Problem(f"{parent}.{second}", f"is '{found[1]}', the same as {parent}.{first}", example)


def _roles(view: View) -> Iterator[Problem]:
    return _apart(
        view, "postgres.roles", ("owner", "application", "backup", "monitoring"), "a name for each role"
    )


def _users(view: View) -> Iterator[Problem]:
    return _apart(
        view, "redis.users", ("application", "operator", "health", "monitoring"), "a name for each user"
    )


def _registry(view: View) -> Iterator[Problem]:
    server, username = view("registry.server"), view("registry.username")
    if INVALID in (server, username):
        return
    if username and not server:
        yield Problem("registry.server", "is missing, but registry.username is set", "ghcr.io")
    elif server and not username:
        yield Problem("registry.username", "is missing, but registry.server is set", "robot")
    elif server:
        images = view.sound("backend.image", "postgres.image", "redis.image")
        if images and server not in map(registry_of, images):
            wrong = "is a registry that no image comes from"
            yield Problem("registry.server", wrong, f"{registry_of(images[0])} (where backend.image is)")


def _api(view: View) -> Iterator[Problem]:
    if str(view("telegram.api_url")).startswith("http://api.telegram.org"):
        wrong = "sends the bot's token in clear"
        yield Problem("telegram.api_url", wrong, "https://api.telegram.org")


def _managed(view: View) -> Iterator[Problem]:
    """A service at a provider: how it is known, and nothing that is only for a container here."""
    for service in managed_services(view):
        found = view.sound(f"{service}.managed.host", f"{service}.managed.ca")
        if found is not None and not found[1]:
            wrong = f"is missing, but {service}.managed.host is set: without it anybody could be the server"
            example = "the provider's certificate in PEM form, or system (docs/managed.md)"
            yield Problem(f"{service}.managed.ca", wrong, example)
        if found is not None:
            yield from _outside(view, f"{service}.managed.host", found[0])
        for path, declared in walk(_SECTIONS[service]):
            value = view(f"{service}.{path}")
            if (
                path.startswith(_OF_CLIENTS)
                or value is INVALID
                or value == declared.kind.read(declared.default)
            ):
                continue
            wrong = f"has no effect while {service}.managed.host is set: there is no container of it here"
            yield Problem(f"{service}.{path}", wrong, "remove it")
    for service in _here(view):
        for path, declared in walk(_SECTIONS[service]):
            value = view(f"{service}.{path}")
            if path.startswith("managed.") and value not in (INVALID, declared.kind.read(declared.default)):
                wrong = f"is set, but {service}.managed.host is not"
                yield Problem(
                    f"{service}.{path}", wrong, f"{service}.managed.host: the provider's, or remove it"
                )


def _outside(view: View, path: str, host: str) -> Iterator[Problem]:
    """A provider's address is on no network of containers: there nobody would find it."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return
    for name in ("docker.subnet", "docker.pool", "app.subnet", "data.subnet"):
        subnet = view(f"network.{name}")
        if subnet is not INVALID and address in ipaddress.IPv4Network(subnet):
            wrong = f"is {host}, which is in network.{name} {subnet}"
            yield Problem(path, wrong, "the provider's address, or other networks here")


def _root(view: View) -> Iterator[Problem]:
    """Telegram calls only an edge whose certificate it can trace to a root that it trusts, or was given."""
    found = view.sound("edge.certificate", "edge.root")
    if found is None:
        return
    authority, root = found
    if not root and authority not in ("local", "letsencrypt"):
        wrong = f"is missing, but Telegram does not trust certificates of {authority}"
        yield Problem("edge.root", wrong, "the authority's root certificate in PEM form (docs/edge.md)")
    elif root and authority in ("local", "letsencrypt"):
        yield Problem("edge.root", f"is set, but edge.certificate {authority} needs none", "no edge.root")


def _storage(view: View) -> Iterator[Problem]:
    """Where copies of the backups go."""
    found = view.sound(*(f"backup.storage.{name}" for name in ("target", "endpoint", "access_key")))
    if found is None:
        return
    target, endpoint, key = found
    if target.startswith("s3:"):
        for name, value, example in (
            ("endpoint", endpoint, "https://ams3.digitaloceanspaces.com"),
            ("access_key", key, "the id of a key that may read and write the bucket"),
        ):
            if not value:
                yield Problem(
                    f"backup.storage.{name}", f"is not set, but backup.storage.target is {target}", example
                )
    elif endpoint or key:
        name = "endpoint" if endpoint else "access_key"
        wrong = f"is set, but backup.storage.target is {target or 'not set'}"
        yield Problem(f"backup.storage.{name}", wrong, "backup.storage.target: s3:your-bucket")
    if f"{target}/".startswith("/var/backups/marketplace/"):
        yield Problem(
            "backup.storage.target", f"is {target}, where the backups themselves are", "a mount of its own"
        )


def _email(view: View) -> Iterator[Problem]:
    """Mails need somebody to be from, and somebody who takes them."""
    found = view.sound(*(f"alerts.email.{name}" for name in ("to", "sender", "server", "username")))
    if found is None:
        return
    to, sender, server, username = found
    if to:
        for name, value, example in (
            ("sender", sender, "alerts@your-company.com"),
            ("server", server, "smtp.your-company.com:587"),
        ):
            if not value:
                yield Problem(f"alerts.email.{name}", "is missing, but alerts.email.to is set", example)
    elif sender or server or username:
        name = "sender" if sender else "server" if server else "username"
        yield Problem(f"alerts.email.{name}", "is set, but alerts.email.to is not", "ops@your-company.com")


def _placeholders(view: View) -> Iterator[Problem]:
    """Names of examples, forgotten in a pillar, would send Telegram to somebody else's host."""
    if view("droplet.example_names") is not False:
        return

    def placeholder(host: str) -> bool:
        return any(
            host == mark.lstrip(".") or host.endswith("." + mark.lstrip(".")) for mark in _PLACEHOLDERS
        )

    domains, image = view("edge.domains"), view("backend.image")
    for domain in domains if domains is not INVALID else ():
        if placeholder(domain):
            wrong = f"has the placeholder {domain}"
            yield Problem(
                "edge.domains", wrong, "the name that points at this droplet, such as bot.your-company.com"
            )
    if image is not INVALID and placeholder(registry_of(image).partition(":")[0]):
        wrong = f"is at the placeholder {registry_of(image)}"
        yield Problem("backend.image", wrong, "your own image, such as ghcr.io/your-team/marketplace")
