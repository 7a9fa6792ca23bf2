"""Releases and rollbacks in turn, under load: what `make test` does a few times and `make soak` many times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.load.running import Load
from tests.support.worker import WORKER

VERSIONS = ("1.2.0", "1.2.1", "1.2.2")
"""All with the singleton worker, and all with the same schema."""
REST = 150
"""Requests between two rounds: what the rest's figures are made of."""


def build(site: Site) -> None:
    """Have the versions in the site's registry."""
    for version in VERSIONS:
        site.backend(version, WORKER=WORKER)


def turns(releases: int, rollbacks: int) -> Iterator[str]:
    """``release`` and ``rollback`` so many times, two releases to a rollback as long as there are enough."""
    for kind in itertools.cycle(("release", "release", "rollback")):
        if not releases and not rollbacks:
            return
        if kind == "rollback" and rollbacks:
            rollbacks -= 1
            yield kind
        elif kind == "release" and releases:
            releases -= 1
            yield kind


def play(droplet: Droplet, load: Load, releases: int, rollbacks: int) -> list[dict[str, Any]]:
    """Ship and go back in turn; after each, every container that serves is of the version that is live.

    Returns:
        The records, oldest first.
    """
    records = []
    for kind in turns(releases, rollbacks):
        live = shipping.status(droplet)["live"]["version"]
        with load.window():
            if kind == "rollback":
                record = shipping.shipped(shipping.rollback(droplet))
            else:
                following = (
                    VERSIONS[(VERSIONS.index(live) + 1) % len(VERSIONS)] if live in VERSIONS else VERSIONS[0]
                )
                record = shipping.shipped(shipping.release(droplet, following))
        assert record["version"] != live
        shipping.assert_everywhere(droplet, record["version"])
        records.append(record)
        load.pause_until(REST)
    return records
