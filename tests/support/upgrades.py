"""Other images of PostgreSQL and Redis on a droplet, by pillar, as an operator puts them there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.registry import Pushed
from tests.support.droplet.salt import Answer, call

NAMES = ("postgres", "redis")
ALLOW = 'pillar={"allow_restart": true}'
RUNNING = "Ensure the data services are running"
"""Id of the state that makes their containers."""


def apply(droplet: Droplet, *arguments: str) -> Answer:
    """``state.apply`` of the data services alone."""
    return call(droplet, "state.apply", "marketplace.data", *arguments)


def want(droplet: Droplet, images: dict[str, Pushed]) -> None:
    """Have the droplet's pillar say other images; nothing is applied."""
    told: dict[str, Any] = yaml.safe_load(droplet.get(pillar.FILE))
    for name, image in images.items():
        told[name] |= {"tag": image.tag, "digest": image.digest}
    pillar.write(droplet, told)


@contextmanager
def put_back(droplet: Droplet) -> Iterator[None]:
    """Whatever happens within the block, its end has the droplet's pillar in force as it was."""
    before = droplet.get(pillar.FILE)
    try:
        yield
    finally:
        droplet.put(pillar.FILE, before, mode=0o600)
        done = apply(droplet, ALLOW)
    assert done.failed == {}


def images(droplet: Droplet) -> list[str]:
    """The images of the data services, as their containers were made of them."""
    return droplet.run(["docker", "inspect", "--format", "{{.Config.Image}}", *NAMES]).stdout.split()
