"""What settings follow from others: addresses, image references, tuning."""

import ipaddress
from typing import Any

from marketplace_settings_kinds_net import AUTHORITIES
from marketplace_tuning import postgres_shm_size, postgres_tuning, redis_maxmemory

SCHEMA = 1

# Offsets in a container network. The highest decides how small a network may be (a /27 has 30 hosts).
GATEWAY, POSTGRES, REDIS, BLUE, GREEN, MIGRATION = 1, 10, 11, 21, 22, 30


# Containers have addresses of their own, so the usual ports are always free; health checks and tools know them.
# Redis has another port for TLS than without: both may be open while a release of an older tree is live.
POSTGRES_PORT, REDIS_PORT, REDIS_PLAIN_PORT = 5432, 6380, 6379


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
        },
        "redis": {
            **redis,
            "reference": _reference(redis),
            "address": address(data, REDIS),
            "port": REDIS_PORT,
            "plain_port": REDIS_PLAIN_PORT,
            "tls": True,
            "maxmemory": redis_maxmemory(redis["limits"]["memory"]),
        },
    }


def _bridge(subnet: str, name: str) -> dict[str, str]:
    return {"name": name, "bridge": f"mkt-{name}", "subnet": subnet, "gateway": address(subnet, GATEWAY)}


def _reference(image: dict[str, Any]) -> str:
    return f"{image['image']}:{image['tag']}@{image['digest']}"
