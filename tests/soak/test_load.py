"""Twenty releases and ten rollbacks in a row while a hundred users write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.support import rounds, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.load.figures import around
from tests.support.load.running import Load


@pytest.mark.timeout(3600)
def test_twenty_releases_and_ten_rollbacks_under_load(
    droplet: Droplet,
    site: Site,
    load: Callable[..., Load],
    note: Callable[[str], None],
    series: Callable[[str, Sequence[Sequence[Any]]], None],
) -> None:
    rounds.build(site)
    users = load(100, 0.5)
    records = rounds.play(droplet, users, releases=20, rollbacks=10)
    assert [record["kind"] for record in records].count("rollback") == 10
    assert shipping.worker_overlaps(droplet) == 0
    users.stop()
    wrong = users.differences(droplet)
    note(f"{len(wrong)} updates lost, doubled or forgotten; never two workers at once")
    found = users.assert_lossless(droplet)
    note(f"all: {found}")
    note(f"at rest: {users.at_rest()}")
    note(f"in releases and rollbacks: {users.in_windows()}")
    cutovers = [record["cutover"]["milliseconds"] for record in records]
    note(f"cut-over by the edge's own log: {max(cutovers)} ms at most, of {len(cutovers)}")
    took = [record["seconds"] for record in records]
    note(f"a release or rollback took {max(took):.0f} s at most, of {len(took)}")
    switches = [switched(record) for record in records]
    series("latency around a switch", around(users.entries(), switches, before=20, after=30, width=1))


def switched(record: dict[str, Any]) -> float:
    """When a release or rollback had switched, in seconds since the epoch: its steps follow one another."""
    names = [step["name"] for step in record["steps"]]
    spent = sum(step["seconds"] for step in record["steps"][: names.index("switch") + 1])
    return datetime.fromisoformat(record["started"]).timestamp() + float(spent)
