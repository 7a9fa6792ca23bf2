"""Settings that are chosen once: what stands on the droplet was made of them, so changing them takes more than a run.

One list serves the state that refuses a change and the documentation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from marketplace_managed import SERVICES, is_managed
from marketplace_settings_fields import public, value_at

_NETWORKS = "containers, firewall and edge have addresses in it, and Docker can't renumber a network in use"
_OWNER = "files on the volume belong to it, and the server runs on them"
_PLACE = "the data are where they are, and the service would find nothing at the other place"
_ROLE = "the role and all it owns are in the database under the old name"

# Path and why: from the first state.apply on.
ALWAYS: dict[str, str] = {
    "network.docker.subnet": _NETWORKS,
    "network.docker.pool": _NETWORKS,
    "network.app.subnet": _NETWORKS,
    "network.data.subnet": _NETWORKS,
    "postgres.user": _OWNER,
    "postgres.device": _PLACE,
    "redis.device": _PLACE,
    "backup.device": "the backups are where they are, and a restore would find none at the other place",
    "postgres.database": "the bot would be given a new, empty database",
    "postgres.roles.owner": _ROLE,
    "postgres.roles.application": _ROLE,
    "postgres.roles.backup": _ROLE,
    "postgres.roles.monitoring": _ROLE,
    "redis.user": _OWNER,
    "redis.users.application": "the running backend logs in by the old name",
}
# The same, while a release is live: state.apply would change one side, and the running backend keeps the other.
WHILE_LIVE: dict[str, str] = {
    "backend.user": "the running backend could no longer read its secrets",
    "backend.port": "the edge would call a port that the running backend doesn't listen on",
    "edge.webhook_path": "the edge would let in a path that the running backend doesn't answer",
}
_NOWHERE = object()


def moved(before: Any, after: Mapping[str, Any], live: bool) -> list[str]:
    """One sentence for each fixed setting that pillar has changed.

    Args:
        before: plain settings that the droplet was converged with.
        after: plain settings of the pillar.
        live: whether a release is live.

    A setting that ``before`` doesn't know (an older layout) is no change. Nor is one of a service that is, or was, at a
    provider: nothing here was made of it.
    """
    return list(_moved(before, after, ALWAYS | (WHILE_LIVE if live else {})))


def refusal_text(sentences: list[str]) -> str:
    """``sentences`` under a heading, with what to do about them."""
    return "\n".join(
        [
            "pillar changes settings that are fixed on this droplet, so nothing was changed:",
            *(f"  - {sentence}" for sentence in sentences),
            "Put the old values back in pillar. To move to the new ones is a migration: set up a new droplet with them"
            " and restore the data there",
        ]
    )


def _moved(before: Any, after: Mapping[str, Any], fixed: Mapping[str, str]) -> Iterator[str]:
    elsewhere = tuple(
        f"{service}."
        for service in SERVICES
        if is_managed(after, service)
        or (isinstance(before, Mapping) and service in before and is_managed(before, service))
    )
    for path, why in fixed.items():
        if path.startswith(elsewhere):
            continue
        old, new = (value_at(settings, path, _NOWHERE) for settings in (before, after))
        if old is not _NOWHERE and old != new:
            yield f"{path} is {public(new)} in pillar and {public(old)} here: {why}"
