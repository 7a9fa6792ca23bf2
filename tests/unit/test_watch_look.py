"""A look over files and sockets as they are on a droplet, as far as those are plain."""

import os
from types import SimpleNamespace

import pytest
from marketplace_paths import Paths
from marketplace_watch_look import Look

from tests.support.looks import NOW, container

SETTINGS = {
    "monitoring": {"drift": True},
    "telegram": {"register": True},
    "backend": {"limits": {"cpus": 1}},
    "postgres": {"managed": None},
    "redis": {"managed": None},
}


@pytest.fixture
def looking(tmp_path):
    """A droplet whose backend is live in blue; HAProxy is not there."""
    paths = Paths(tmp_path)
    paths.live_map.parent.mkdir(parents=True)
    paths.live_map.write_text("live blue\n")
    look = Look(paths)
    there = {"backend-blue": container("backend-blue", pid=0, labels={"marketplace.release": "r1"})}
    look.docker = SimpleNamespace(containers=lambda *names: {n: there[n] for n in names if n in there})
    return look


@pytest.mark.parametrize(
    ("contract", "settings", "wanted"),
    [
        ('{"worker": ["python", "-m", "bot.worker"]}', {}, True),
        ('{"worker": []}', {}, False),
        ("{", {}, False),
        (None, {}, False),
        # Another host serves the bot.
        ('{"worker": ["python"]}', {"telegram": {"register": False}}, False),
    ],
)
def test_whether_there_should_be_a_worker_says_the_live_releases_contract(
    looking, contract, settings, wanted
):
    if contract is not None:
        file = looking.paths.releases / "r1/contract.json"
        file.parent.mkdir(parents=True)
        file.write_text(contract)
    seen = looking.seen(SETTINGS | settings)
    assert (seen.live, seen.has_worker) == ("blue", wanted)


def test_since_when_nobody_has_looked_for_drift(looking):
    assert looking.seen(SETTINGS).unlooked is None
    looking.paths.applied.write_text("{}")
    os.utime(looking.paths.applied, (NOW, NOW))
    assert looking.seen(SETTINGS).unlooked == NOW
    assert looking.seen(SETTINGS | {"monitoring": {"drift": False}}).unlooked is None
    looking.paths.drift.parent.mkdir(parents=True, exist_ok=True)
    looking.paths.drift.write_text('{"looked": "2026-01-01T00:00:00+00:00"}')
    assert looking.seen(SETTINGS).unlooked is None
