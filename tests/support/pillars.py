"""Pillars for tests: a right one, and the same with something changed."""

import copy
from typing import Any

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
DIGEST = "sha256:" + "0123456789abcdef" * 4
# The frame of a certificate, with an empty sequence in it: who only looks at the form takes it.
PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
ENVIRONMENTS = ["development", "production", "staging"]

REMOVED = object()

_GOOD: dict[str, Any] = {
    "backend": {"image": "ghcr.io/team/marketplace", "version": "1.0.0"},
    "postgres": {"tag": "17.11", "digest": DIGEST},
    "redis": {"tag": "8.10.1", "digest": DIGEST},
    "edge": {"domains": ["bot.team.dev"]},
    "secrets": {"telegram_token": {"value": TOKEN}},
}

# One mistake of each kind, by dotted path; each is one problem.
TEN_MISTAKES: dict[str, Any] = {
    "droplet.cpus": "two",
    "network.app.subnet": "10.0.0.1/24",
    "backend.image": "marketplace",
    "backend.version": 1.10,
    "backend.limits": {"memory": "lots"},
    "postgres.digest": "sha256:abc",
    "redis.save": [],
    "edge.domains": ["https://bot.team.dev"],
    "telegram": {"api_urll": "https://api.telegram.org"},
    "secrets": {},
}


def pillar(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A right pillar with ``changes`` by dotted path; REMOVED takes a key away."""
    made = copy.deepcopy(_GOOD)
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        at: Any = made
        for parent in parents:
            at = at.setdefault(parent, {})
        if value is REMOVED:
            del at[last]
        else:
            at[last] = value
    return made
