"""A migration that the version before cannot live with: updates wait at Telegram, and none is lost. There and back."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.load.running import Load
from tests.support.worker import WORKER

LAST, BREAKING = "1.3.0", "1.4.0"


def test_breaking_migration_in_maintenance_there_and_back(
    droplet: Droplet, site: Site, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    for version in (LAST, BREAKING):
        site.backend(version, WORKER=WORKER)
    shipping.ensure_live(droplet, LAST)
    users = load(50, 0.5)
    refused = shipping.release(droplet, BREAKING)
    assert refused.value["outcome"] == "refused"
    assert "can only be applied with maintenance=True" in refused.value["reason"]
    assert users.figures().failed == 0
    with users.window():
        there = shipping.shipped(shipping.release(droplet, BREAKING, "maintenance=True"))
    assert there["schema"]["after"] == ["0005"]
    shipping.assert_everywhere(droplet, BREAKING)
    with users.window():
        back = shipping.shipped(shipping.rollback(droplet, "maintenance=True"))
    assert back["schema"]["after"] == ["0004"]
    shipping.assert_everywhere(droplet, LAST)
    found = users.assert_lossless(droplet, failed=None)
    assert set(found.failures) <= {"HTTP 503"}, found
    note(f"breaking migration in maintenance, there and back: {users.in_windows()}")
