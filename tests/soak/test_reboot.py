"""A reboot in the middle of every step of a release and of a rollback, and a loss of power at the end of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import killing, places, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.site import Site
from tests.support.load import running
from tests.support.load.running import Load


@pytest.fixture(scope="module")
def users(droplet: Droplet, site: Site, neighbour: Machine) -> Iterator[Load]:
    """People who write to the bot; while the droplet is off, their updates wait as they do at Telegram."""
    places.build(site)
    places.prepare(droplet)
    with running.users(neighbour, droplet, clients=10, rate=0.5) as load:
        yield load


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (kind, place)
        for kind in ("release", "rollback")
        for place in places.places(kind)
        if place.endswith("start")
    ],
)
def test_reboot_in_every_step(
    droplet: Droplet, users: Load, note: Callable[[str], None], kind: str, place: str
) -> None:
    way = places.way(droplet, kind, place)
    took = killing.reboot_at(droplet, place, way.act, (way.version, way.before))
    note(f"{kind}, {place}: all services well {took:.1f} s after the reboot was asked for")
    shipping.shipped(
        shipping.release(droplet, places.way(droplet, "release", "soak:start").version, "soak=0")
    )


@pytest.mark.parametrize("place", [place for place in places.places("release") if place.endswith("end")])
def test_power_loss_at_every_steps_end(droplet: Droplet, users: Load, place: str) -> None:
    way = places.way(droplet, "release", place)
    killing.power_loss_at(droplet, place, way.act, way.version, way.before)


def test_nothing_was_lost(droplet: Droplet, users: Load) -> None:
    # What Redis has not yet written to its disk is forgotten with the power; effects are not.
    users.assert_lossless(droplet, failed=None, dialogues=False)
    # A worker that dies with the power has no last heartbeat: two rows can't be told from one that paused.
    shipping.assert_sound(droplet)
