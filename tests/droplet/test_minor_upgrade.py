"""Minor versions of PostgreSQL and Redis, there and back, while users write: nothing is lost, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.support import shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load
from tests.support.waiting import seconds_until

ALLOW = 'pillar={"allow_restart": true}'
RUNNING = "Ensure the data services are running"
# Of users: from the last answer before a restart to the first behind it.
GAP_SECONDS = 20


@pytest.fixture
def told(droplet: Droplet) -> Iterator[dict[str, Any]]:
    """The droplet's own pillar, to change; whatever happens, the end has it in force again."""
    before = droplet.get(pillar.FILE)
    yield yaml.safe_load(before)
    droplet.put(pillar.FILE, before, mode=0o600)
    assert call(droplet, "state.apply", "marketplace.data", ALLOW).failed == {}


def running(droplet: Droplet) -> list[str]:
    """The images of the data services, as their containers were made of them."""
    return droplet.run(
        ["docker", "inspect", "--format", "{{.Config.Image}}", "postgres", "redis"]
    ).stdout.split()


def test_minor_upgrades_under_load_there_and_back(
    droplet: Droplet,
    site: Site,
    images: Images,
    told: dict[str, Any],
    load: Callable[..., Load],
    progress: Progress,
) -> None:
    before = running(droplet)
    original = droplet.get(pillar.FILE)
    newer = {name: site.minor(name, getattr(images, name)) for name in ("postgres", "redis")}
    for name, image in newer.items():
        told[name] |= {"tag": image.tag, "digest": image.digest}
    pillar.write(droplet, told)

    waits = call(droplet, "state.apply", "marketplace.data")
    assert (waits.failed, running(droplet)) == ({}, before)
    pending = [line for line in shipping.status(droplet)["pending"] if "pending restart in data" in line]
    assert len(pending) == 2
    assert all("-next@sha256:" in line and "state.apply pillar=" in line for line in pending), pending
    plan = call(droplet, "state.apply", "marketplace.data", "test=True", ALLOW)
    assert set(plan.changed[RUNNING]) == {"postgres", "redis"}

    users = load(20, 1.0)
    with users.window():
        there = call(droplet, "state.apply", "marketplace.data", ALLOW)
    assert (there.failed, set(there.changed)) == ({}, {RUNNING})
    assert running(droplet) == [newer["postgres"].reference, newer["redis"].reference]
    assert call(droplet, "state.apply", "marketplace.data", ALLOW).changed == {}
    users.pause_until(60)

    droplet.put(pillar.FILE, original, mode=0o600)
    with users.window():
        back = call(droplet, "state.apply", "marketplace.data", ALLOW)
    assert back.failed == {}
    assert running(droplet) == before
    users.pause_until(60)

    found = users.assert_lossless(droplet, failed=None)
    # What could not be done then was put off in so many words, and Telegram sent it again.
    assert set(found.failures) <= {"HTTP 503"}, found
    seen = users.in_windows()
    progress.note(f"minor upgrades of both, there and back: {seen}")
    assert seen.gap_ms is not None
    assert seen.gap_ms < GAP_SECONDS * 1000, seen
    assert not any("restart" in line for line in shipping.status(droplet)["pending"])
    seconds_until(lambda: call(droplet, "health.check", "brief=True").returncode == 0, 60)


def test_a_release_on_its_way_is_not_disturbed(
    droplet: Droplet, site: Site, images: Images, told: dict[str, Any]
) -> None:
    before = running(droplet)
    newer = site.minor("redis", images.redis)
    told["redis"] |= {"tag": newer.tag, "digest": newer.digest}
    pillar.write(droplet, told)
    live = shipping.status(droplet)["live"]["version"]
    with shipping.stopped_at(droplet, "preflight:start", lambda beside: shipping.release(beside, live)):
        refused = call(droplet, "state.apply", "marketplace.data", ALLOW)
        plan = call(droplet, "state.apply", "marketplace.data", "test=True", ALLOW)
    assert f"release of {live} by" in refused.failed[RUNNING]
    assert plan.failed.keys() == {RUNNING}
    assert running(droplet) == before
