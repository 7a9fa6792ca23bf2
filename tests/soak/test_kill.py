"""SIGKILL at the start and at the end of every step of a release and of a rollback, and at random instants."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import killing, places, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.site import Site
from tests.support.load import running
from tests.support.load.running import Load

RANDOM = 30
LONGEST_SECONDS = 20


@pytest.fixture(scope="module")
def users(droplet: Droplet, site: Site, neighbour: Machine) -> Iterator[Load]:
    """People who write to the bot through all of this module's kills."""
    places.build(site)
    places.prepare(droplet)
    with running.users(neighbour, droplet) as load:
        yield load


def next_works(droplet: Droplet) -> None:
    """After each of them, a whole release goes well."""
    way = places.way(droplet, "release", "soak:start")
    shipping.shipped(shipping.release(droplet, way.version, "soak=0"))
    shipping.assert_everywhere(droplet, way.version)


@pytest.mark.parametrize(
    ("kind", "place"), [(kind, place) for kind in ("release", "rollback") for place in places.places(kind)]
)
def test_killed_at_every_step(droplet: Droplet, users: Load, kind: str, place: str) -> None:
    way = places.way(droplet, kind, place)
    failed = users.figures().failed
    killing.kill_at(droplet, place, way.act, way.version, way.before)
    # In maintenance they are told to come back later.
    maintained = place.partition(":")[0] in places.IN_MAINTENANCE
    found = users.figures()
    assert maintained or found.failed == failed, found
    assert set(found.failures) <= {"HTTP 503"}, found
    next_works(droplet)


@pytest.mark.timeout(3600)
def test_killed_at_random_instants(droplet: Droplet, users: Load, note: Callable[[str], None]) -> None:
    seed, moments = killing.instants(RANDOM, LONGEST_SECONDS)
    failed, steps = users.figures().failed, []
    for number, moment in enumerate(moments):
        way = places.way(droplet, "rollback" if number % 3 == 2 else "release", "soak:start")
        steps.append(killing.kill_after(droplet, moment, way.act, (way.version, way.before)))
        assert users.figures().failed == failed, (seed, number, moment, steps[-1], users.figures())
    next_works(droplet)
    note(f"seed {seed}: killed at {', '.join(steps)}")


def test_nothing_was_lost_and_no_two_workers_ran(
    droplet: Droplet, users: Load, note: Callable[[str], None]
) -> None:
    found = users.assert_lossless(droplet, failed=None)
    assert shipping.worker_overlaps(droplet) == 0
    note(f"through all kills: {found} (503: told to come back later, in releases with maintenance=True)")
