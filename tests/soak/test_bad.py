"""Every version that should not be shipped, those that take their time included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import bad
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.site import Site
from tests.support.load import running
from tests.support.load.running import Load


@pytest.fixture(scope="module")
def live(droplet: Droplet, site: Site) -> dict[str, Any]:
    """What is live, before and after each of these."""
    return bad.good(droplet, site)


@pytest.fixture(scope="module")
def users(droplet: Droplet, live: dict[str, Any], neighbour: Machine) -> Iterator[Load]:
    with running.users(neighbour, droplet) as load:
        yield load


@pytest.mark.parametrize(
    "version", [*bad.TABLE, bad.HALF, bad.BREAKS], ids=lambda item: f"{item.name}-{item.outcome}"
)
def test_bad_version_is_stopped_and_live_goes_on(
    droplet: Droplet, site: Site, users: Load, live: dict[str, Any], version: bad.Bad
) -> None:
    bad.ship(droplet, site, users, live, version)


def test_migration_that_waits_for_a_lock_gives_up(
    droplet: Droplet, site: Site, users: Load, live: dict[str, Any]
) -> None:
    with bad.reader(droplet, "users"):
        bad.ship(droplet, site, users, live, bad.LOCKS)


def test_nothing_was_lost_in_all_of_these(droplet: Droplet, users: Load) -> None:
    found = users.assert_lossless(droplet, failed=None)
    assert set(found.failures) <= {"HTTP 503", "HTTP 500"}, found
