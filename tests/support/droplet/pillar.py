"""What a local droplet's pillar/local says: the same keys that a user sets, with the site's addresses."""

from __future__ import annotations

from typing import Any

import yaml

from .machine import Machine
from .site import BOTAPI_PORT, Images, Site

FILE = "/srv/deploy/pillar/local/init.sls"
OPERATORS = "-100900"
"""The chat in which alerts arrive."""


def local(site: Site, images: Images) -> dict[str, Any]:
    """The pillar for droplets of ``site``: pinned images of its registry, its Bot API, small file systems."""
    return {
        "backend": {
            "image": images.backend.repository,
            "version": images.backend.tag,
            # Short: some tests wait for its end.
            "migration_timeout": 20,
            "soak": 3,
        },
        "postgres": {
            "image": images.postgres.repository,
            "tag": images.postgres.tag,
            "digest": images.postgres.digest,
            "disk": "768M",
        },
        "redis": {
            "image": images.redis.repository,
            "tag": images.redis.tag,
            "digest": images.redis.digest,
            "disk": "1G",
        },
        "backup": {"disk": "1G"},
        "logs": {"size": "512M"},
        "droplet": {"swap": 0},
        "telegram": {"api_url": f"http://botapi.test:{BOTAPI_PORT}", "networks": [site.subnets[0]]},
        "alerts": {"telegram": {"chat": OPERATORS}},
        "secrets": {
            "telegram_token": {"value": site.token},
            "alerts_telegram_token": {"value": site.alerts_token},
        },
    }


def write(machine: Machine, pillar: dict[str, Any]) -> None:
    """Write ``pillar`` as the machine's pillar/local, readable by root alone."""
    machine.put(FILE, yaml.safe_dump(pillar, sort_keys=False), mode=0o600)
