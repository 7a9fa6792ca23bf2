"""Minor versions of PostgreSQL and Redis, again and again under load, and those that never come up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import shipping, upgrades
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load
from tests.support.upgrades import ALLOW, NAMES, RUNNING

ROUNDS = 10


@pytest.fixture(autouse=True)
def _put_back(droplet: Droplet) -> Iterator[None]:
    with upgrades.put_back(droplet):
        yield


def test_there_and_back_again_and_again(
    droplet: Droplet, site: Site, images: Images, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    older = {name: getattr(images, name) for name in NAMES}
    newer = {name: site.minor(name, older[name]) for name in NAMES}
    users = load(50, 0.5)
    for number in range(ROUNDS):
        upgrades.want(droplet, older if number % 2 else newer)
        with users.window():
            assert upgrades.apply(droplet, ALLOW).failed == {}
        users.pause_until(100)
    found = users.assert_lossless(droplet, failed=None)
    assert set(found.failures) <= {"HTTP 503"}, found
    note(f"{ROUNDS} minor upgrades of PostgreSQL and Redis: {users.in_windows()}")


@pytest.mark.parametrize("name", NAMES)
def test_one_that_does_not_come_up_is_taken_back(
    droplet: Droplet,
    site: Site,
    images: Images,
    load: Callable[..., Load],
    note: Callable[[str], None],
    name: str,
) -> None:
    before = upgrades.images(droplet)
    users = load(20, 1.0)
    upgrades.want(droplet, {name: site.minor(name, getattr(images, name), works=False)})
    with users.window():
        failed = upgrades.apply(droplet, ALLOW).failed[RUNNING]
    assert "It was taken back" in failed
    assert upgrades.images(droplet) == before
    users.pause_until(60)
    found = users.assert_lossless(droplet, failed=None)
    assert set(found.failures) <= {"HTTP 503"}, found
    note(f"an image of {name} that never comes up: {users.in_windows()}")
    shipping.assert_sound(droplet)
