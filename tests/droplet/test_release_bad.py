"""Versions that should not be shipped: each is stopped with its reason, and the live version goes on serving."""

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
    """People who write to the bot through all of this module's releases."""
    with running.users(neighbour, droplet, 20, 0.5) as load:
        yield load


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
