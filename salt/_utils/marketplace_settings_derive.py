"""What settings follow from others: addresses, image references, tuning."""

import ipaddress
from typing import Any

from marketplace_managed import TRUSTED, is_managed
from marketplace_settings_kinds_net import AUTHORITIES, SYSTEM
from marketplace_tuning import postgres_shm_size, postgres_tuning, redis_maxmemory

SCHEMA = 1

# Offsets in a container network. The highest decides how small a network may be (a /27 has 30 hosts).
GATEWAY, POSTGRES, REDIS, BLUE, GREEN, MIGRATION = 1, 10, 11, 21, 22, 30


# Containers have addresses of their own, so the usual ports are always free; health checks and tools know them.
# Redis has another port for TLS than without: both may be open while a release of an older tree is live.
POSTGRES_PORT, REDIS_PORT, REDIS_PLAIN_PORT = 5432, 6380, 6379
# By whom services are known: those of this droplet, those that Debian trusts, and a provider's own.
OWN_AUTHORITY = "/etc/marketplace/tls/services.pem"
SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def address(subnet: str, offset: int) -> str:
    """The ``offset``th address of ``subnet``."""
    return str(ipaddress.IPv4Network(subnet)[offset])


def complete(values: dict[str, Any], environment: str, secrets: dict[str, str]) -> dict[str, Any]:
    """Fill in everything derived.

    Args:
        values: the settings as read, without problems; left as they are.
        environment: name of the environment.
        secrets: "given" or "generated" for each secret.
    """
    network = values["network"]
    app, data = network["app"]["subnet"], network["data"]["subnet"]
    postgres, redis, limits = values["postgres"], values["redis"], values["postgres"]["limits"]
    tuning = postgres_tuning(limits["memory"], postgres["disk"], limits["cpus"], postgres["max_connections"])
    colours = {"blue": BLUE, "green": GREEN, "migration": MIGRATION}
    return {
        **values,
        "schema": SCHEMA,
        "environment": environment,
        "secrets": dict(sorted(secrets.items())),
        "network": {
            "docker": {**network["docker"], "gateway": address(network["docker"]["subnet"], GATEWAY)},
            "app": _bridge(app, "app"),
            "data": _bridge(data, "data"),
        },
        "backend": {
            **values["backend"],
            "addresses": {
                colour: {"app": address(app, offset), "data": address(data, offset)}
                for colour, offset in colours.items()
            },
        },
        "edge": {
            **values["edge"],
            "directory": AUTHORITIES.get(values["edge"]["certificate"], values["edge"]["certificate"]),
        },
        "postgres": {
            **postgres,
            "reference": _reference(postgres),
            "address": address(data, POSTGRES),
            "port": POSTGRES_PORT,
            "tls": True,
            "shm_size": postgres_shm_size(limits["memory"]),
            "tuning": {**tuning, **postgres["parameters"]},
            "owner_secret": "postgres_owner_password",
            **_trust("postgres", postgres, "database"),
            **_provider(postgres),
        },
        "redis": {
            **redis,
            "reference": _reference(redis),
            "address": address(data, REDIS),
            "port": REDIS_PORT,
            "plain_port": REDIS_PLAIN_PORT,
            "tls": True,
            "maxmemory": redis_maxmemory(redis["limits"]["memory"]),
            **_trust("redis", redis, "redis"),
            **_cache_provider(redis),
        },
    }


def _trust(service: str, values: dict[str, Any], consumer: str) -> dict[str, str]:
    """By whom a service is known: where that is written on the droplet, and among the backend's secrets."""
    if not is_managed({service: values}, service):
        return {"authority": OWN_AUTHORITY, "trusted": TRUSTED}
    theirs = f"/etc/marketplace/tls/{service}-provider.pem"
    system = values["managed"]["ca"] == SYSTEM
    return {"authority": SYSTEM_AUTHORITIES if system else theirs, "trusted": f"{consumer}_ca.pem"}


def _provider(postgres: dict[str, Any]) -> dict[str, Any]:
    """What is otherwise where PostgreSQL is at a provider: place, database, and who logs in with what."""
    there = postgres["managed"]
    if not there["host"]:
        return {}
    owner = there["owner"] or there["user"]
    return {
        "address": there["host"],
        "port": there["port"],
        "database": there["database"],
        "roles": {**postgres["roles"], "owner": owner, "application": there["user"]},
        "owner_secret": "postgres_owner_password" if there["owner"] else "postgres_app_password",
    }


def _cache_provider(redis: dict[str, Any]) -> dict[str, Any]:
    there = redis["managed"]
    if not there["host"]:
        return {}
    users = {**redis["users"], "application": there["user"]}
    return {"address": there["host"], "port": there["port"], "users": users}


def _bridge(subnet: str, name: str) -> dict[str, str]:
    return {"name": name, "bridge": f"mkt-{name}", "subnet": subnet, "gateway": address(subnet, GATEWAY)}


def _reference(image: dict[str, Any]) -> str:
    return f"{image['image']}:{image['tag']}@{image['digest']}"
