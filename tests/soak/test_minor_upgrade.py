"""Minor versions of PostgreSQL and Redis, again and again under load, and those that never come up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import shipping, upgrades
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load
from tests.support.upgrades import ALLOW, NAMES, RUNNING
from tests.support.waiting import seconds_until

ROUNDS = 10
# Of users: from the last answer before a restart to the first behind it.
GAP_SECONDS = 20


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


def test_minor_upgrades_under_load(
    droplet: Droplet, site: Site, images: Images, load: Callable[..., Load], progress: Progress
) -> None:
    older = {name: getattr(images, name) for name in NAMES}
    newer = {name: site.minor(name, older[name]) for name in NAMES}
    upgrades.want(droplet, newer)

    waits = upgrades.apply(droplet)
    assert (waits.failed, upgrades.images(droplet)) == ({}, [older[name].reference for name in NAMES])
    pending = [line for line in shipping.status(droplet)["pending"] if "pending restart in data" in line]
    assert len(pending) == 2
    assert all("-next@sha256:" in line and "state.apply pillar=" in line for line in pending), pending
    plan = upgrades.apply(droplet, "test=True", ALLOW)
    assert set(plan.changed[RUNNING]) == set(NAMES)

    users = load(20, 1.0)
    with users.window():
        there = upgrades.apply(droplet, ALLOW)
    assert (there.failed, set(there.changed)) == ({}, {RUNNING})
    assert upgrades.images(droplet) == [newer[name].reference for name in NAMES]
    assert upgrades.apply(droplet, ALLOW).changed == {}
    users.pause_until(60)

    found = users.assert_lossless(droplet, failed=None)
    # What could not be done then was put off in so many words, and Telegram sent it again.
    assert set(found.failures) <= {"HTTP 503"}, found
    seen = users.in_windows()
    progress.note(f"minor upgrades of both: {seen}")
    assert seen.gap_ms is not None
    assert seen.gap_ms < GAP_SECONDS * 1000, seen
    assert not any("restart" in line for line in shipping.status(droplet)["pending"])
    seconds_until(lambda: call(droplet, "health.check", "brief=True").returncode == 0, 60)


def test_a_release_on_its_way_is_not_disturbed(droplet: Droplet, site: Site, images: Images) -> None:
    before = upgrades.images(droplet)
    newer = {"redis": site.minor("redis", images.redis)}
    live = shipping.status(droplet)["live"]["version"]
    with shipping.stopped_at(droplet, "preflight:start", lambda beside: shipping.release(beside, live)):
        upgrades.want(droplet, newer)
        refused = upgrades.apply(droplet, ALLOW)
        plan = upgrades.apply(droplet, "test=True", ALLOW)
    assert f"release of {live} by" in refused.failed[RUNNING]
    assert RUNNING in plan.failed
    assert upgrades.images(droplet) == before
