"""Releases that are killed, or whose droplet loses its power: all is well again by itself, and nobody noticed.

A few places here; every step's start and end, in releases and rollbacks, is for `make soak`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import killing, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import Answer
from tests.support.droplet.site import Site
from tests.support.load import running
from tests.support.load.running import Load

VERSIONS = ("1.1.1", "1.1.2")
LONGEST_SECONDS = 12


@pytest.fixture(scope="module")
def users(droplet: Droplet, site: Site, neighbour: Machine) -> Iterator[Load]:
    """People who write to the bot through all of this module's kills."""
    for version in VERSIONS:
        site.backend(version)
    shipping.ensure_live(droplet, VERSIONS[0])
    with running.users(neighbour, droplet, 20, 0.5) as load:
        yield load


def another(live: str) -> str:
    """The version that is not live."""
    return VERSIONS[1] if live == VERSIONS[0] else VERSIONS[0]


def shipping_of(version: str) -> Callable[[Droplet], Answer]:
    return lambda droplet: shipping.release(droplet, version, "soak=2")


def test_killed_release_is_settled_by_itself(droplet: Droplet, users: Load) -> None:
    before = shipping.status(droplet)["live"]["version"]
    version = another(before)
    killing.kill_at(droplet, "switch:end", shipping_of(version), version, before)
    assert users.figures().failed == 0, users.figures()


def test_release_killed_at_any_instant_is_settled_by_itself(
    droplet: Droplet, users: Load, progress: Progress
) -> None:
    seed, moments = killing.instants(1, LONGEST_SECONDS)
    progress.note(f"seed {seed}")
    for moment in moments:
        before = shipping.status(droplet)["live"]["version"]
        version = another(before)
        step = killing.kill_after(droplet, moment, shipping_of(version), (version, before))
        progress.note(f"killed after {moment:.2f} s, at {step}")
        assert users.figures().failed == 0, (seed, moment, step, users.figures())


def test_next_release_works_and_nothing_was_lost(droplet: Droplet, users: Load) -> None:
    version = another(shipping.status(droplet)["live"]["version"])
    shipping.shipped(shipping_of(version)(droplet))
    shipping.assert_everywhere(droplet, version)
    users.assert_lossless(droplet)
