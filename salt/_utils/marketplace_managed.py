"""PostgreSQL or Redis at a managed provider instead of in a container here: who is where. Pure.

Settings that an older tree has written know nothing of providers: then everything is here.
"""

from collections.abc import Mapping
from typing import Any

SERVICES = ("postgres", "redis")
# Below the delivered secrets of whoever is a client: the authorities of this droplet's own services.
TRUSTED = "ca.pem"
HERE = "here"
NAMES = {"postgres": "PostgreSQL", "redis": "Redis"}


def is_managed(settings: Mapping[str, Any], service: str) -> bool:
    """Whether ``service`` is at a provider."""
    return bool(((settings.get(service) or {}).get("managed") or {}).get("host"))


def theirs(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The services that are at a provider."""
    return tuple(service for service in SERVICES if is_managed(settings, service))


def ours(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The services that have a container, data and certificates on this droplet."""
    return tuple(service for service in SERVICES if not is_managed(settings, service))


def names_of(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """``ours`` and ``theirs``, as states read them below the pillar's key ``services``."""
    return {"ours": list(ours(settings)), "theirs": list(theirs(settings))}


def place(settings: Mapping[str, Any], service: str) -> str:
    """Where a service answers, for people: ``host:port``."""
    return f"{settings[service]['address']}:{settings[service]['port']}"


def home(settings: Mapping[str, Any]) -> str:
    """Where the database's data are, to be compared: ``here``, or ``host:port/database`` at a provider."""
    if not is_managed(settings, "postgres"):
        return HERE
    return f"{place(settings, 'postgres')}/{settings['postgres']['database']}"
