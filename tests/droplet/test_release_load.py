"""A release and a rollback while a hundred users write: nothing fails, nothing is lost, doubled or forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import rounds, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.site import Site
from tests.support.load.running import Load


@pytest.fixture(scope="module", autouse=True)
def _versions(site: Site) -> None:
    """Built before there is anything to be measured."""
    rounds.build(site)


@pytest.mark.alone
def test_a_release_and_a_rollback_under_load(
    droplet: Droplet, load: Callable[..., Load], progress: Progress
) -> None:
    users = load(100, 0.5)
    records = rounds.play(droplet, users, releases=1, rollbacks=1)
    assert [record["kind"] for record in records] == ["release", "rollback"]
    for record in records:
        # By the edge's own log, beside the load's.
        assert record["cutover"]["failed"] == 0, record
    assert shipping.worker_overlaps(droplet) == 0
    shipping.assert_sound(droplet)
    users.assert_lossless(droplet)
    progress.note(f"in a release: {users.in_windows()}")
    progress.note(f"at rest: {users.at_rest()}")
