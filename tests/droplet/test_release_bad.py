"""Versions that should not be shipped: each is stopped with its reason, and the live version goes on serving."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import bad, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.site import Site
from tests.support.load.running import Load, edge


@pytest.fixture(scope="module")
def live(droplet: Droplet, site: Site) -> dict[str, Any]:
    """What is live, before and after each of these."""
    site.backend(bad.GOOD)
    shipping.ensure_live(droplet, bad.GOOD)
    found: dict[str, Any] = shipping.status(droplet)["live"]
    return found


@pytest.fixture(scope="module")
def users(droplet: Droplet, live: dict[str, Any], neighbour: Machine) -> Iterator[Load]:
    """People who write to the bot through all of this module's releases."""
    load = Load(neighbour, edge(droplet), clients=20, rate=1.0).start()
    yield load
    load.abandon()


@pytest.mark.parametrize("version", [item for item in bad.TABLE if not item.slow], ids=lambda item: item.name)
def test_bad_version_is_stopped_and_live_goes_on(
    droplet: Droplet, site: Site, users: Load, live: dict[str, Any], version: bad.Bad
) -> None:
    bad.ship(droplet, site, users, live, version)


def test_half_applied_migration_is_taken_back_by_the_restore_point(
    droplet: Droplet, site: Site, users: Load, live: dict[str, Any]
) -> None:
    bad.ship(droplet, site, users, live, bad.HALF)


def test_nothing_was_lost_in_all_of_these(droplet: Droplet, users: Load) -> None:
    found = users.assert_lossless(droplet, failed=None)
    # Put off in maintenance, or answered by the version that failed until it was taken back.
    assert set(found.failures) <= {"HTTP 503", "HTTP 500"}, found
