"""Fixtures for tests of what arrives in the operators' chat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import alerts
from tests.support.alerts import Chat
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.waiting import seconds_until


@pytest.fixture
def chat(site: Site) -> Chat:
    """The chat from the test's beginning on."""
    return Chat.from_now(site.alerts())


@pytest.fixture
def calm(droplet: Droplet) -> Iterator[None]:
    """The test begins on a droplet with nothing in the news but that something was restarted, and leaves it so."""

    def news() -> list[str]:
        return [name for name in alerts.active(droplet) if not name.startswith("service.restarted/")]

    seconds_until(lambda: alerts.all_well(droplet) and not news(), 900)
    yield
    seconds_until(lambda: alerts.all_well(droplet), 120)
