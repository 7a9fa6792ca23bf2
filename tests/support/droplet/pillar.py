"""What a local droplet's pillar/local says: the same keys that a user sets, with the site's addresses."""

from __future__ import annotations

import secrets
from typing import Any

import yaml

from .machine import Machine
from .paths import site_dir
from .site import BOTAPI_PORT, Images, Site

FILE = "/srv/deploy/pillar/local/init.sls"


def token(site: Site) -> str:
    """The site's bot token: random, and the same at every call."""
    file = site_dir(site.name) / "telegram-token"
    if not file.exists():
        file.touch(0o600)
        file.write_text(f"7000000001:{secrets.token_urlsafe(27)}")
    return file.read_text()


def local(site: Site, images: Images) -> dict[str, Any]:
    """The pillar for droplets of ``site``: pinned images of its registry, its Bot API, small file systems."""
    return {
        "backend": {"image": images.backend.repository, "version": images.backend.tag},
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
        "droplet": {"swap": 0},
        "telegram": {"api_url": f"http://botapi.test:{BOTAPI_PORT}", "networks": [site.subnets[0]]},
        "secrets": {"telegram_token": {"value": token(site)}},
    }


def write(machine: Machine, pillar: dict[str, Any]) -> None:
    """Write ``pillar`` as the machine's pillar/local, readable by root alone."""
    machine.put(FILE, yaml.safe_dump(pillar, sort_keys=False), mode=0o600)
