"""Several people at once: one release at a time, and converging beside one harms neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import ON_RECORD, Answer, call
from tests.support.droplet.site import Site
from tests.support.load import running
from tests.support.load.running import Load

VERSIONS = ("1.1.1", "1.1.2")
HELD = re.compile(
    r"release of 1\.1\.\d by \S+ \(pid \d+\) holds the release lock since \d{4}-\d\d-\d\dT[\d:+]+"
)


@pytest.fixture(scope="module")
def users(droplet: Droplet, site: Site, neighbour: Machine) -> Iterator[Load]:
    """People who write to the bot through all of this."""
    for version in VERSIONS:
        site.backend(version)
    with running.users(neighbour, droplet, 20, 0.5) as load:
        yield load


def following(droplet: Droplet) -> tuple[str, Callable[[Droplet], Answer]]:
    """A version that is not live, and what ships it."""
    live = shipping.status(droplet)["live"]["version"]
    version = VERSIONS[1] if live == VERSIONS[0] else VERSIONS[0]
    return version, lambda droplet: shipping.release(droplet, version)


def converge(droplet: Droplet) -> Answer:
    return call(droplet, "state.apply")


def test_of_five_releases_at_once_one_runs(droplet: Droplet, users: Load) -> None:
    version, act = following(droplet)
    with shipping.beside(droplet, act, count=5) as answers:
        found = [answer.result() for answer in answers]
    assert sorted(answer.value["outcome"] for answer in found) == ["live", *["refused"] * 4]
    for answer in found:
        if answer.value["outcome"] == "refused":
            assert answer.returncode == 1
            assert HELD.search(answer.value["reason"]), answer.value["reason"]
    shipping.assert_sound(droplet, version)


def test_converging_beside_a_release_leaves_it_alone(droplet: Droplet, users: Load) -> None:
    version, act = following(droplet)
    with shipping.stopped_at(droplet, "soak:start", act) as (_, answer):
        applied = converge(droplet)
        second = shipping.release(droplet, version)
        shipping.go_on(droplet)
        record = shipping.shipped(answer.result())
    assert applied.failed == {}
    assert set(applied.changed) <= {ON_RECORD}
    assert second.value["outcome"] == "refused"
    assert HELD.search(second.value["reason"])
    assert "now at step soak" in second.value["reason"]
    assert record["version"] == version
    shipping.assert_sound(droplet, version)


def test_release_beside_converging_goes_well(droplet: Droplet, users: Load) -> None:
    version, act = following(droplet)
    with shipping.beside(droplet, converge) as (applied,):
        shipping.shipped(act(droplet))
        assert applied.result().failed == {}
    shipping.assert_sound(droplet, version)
    assert converge(droplet).changed == {}
    users.assert_lossless(droplet)
