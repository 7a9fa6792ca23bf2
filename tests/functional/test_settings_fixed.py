"""What settings.written refuses on a droplet that stands: fixed settings that change, a machine that is too small."""

import json

import pytest
from marketplace_durable import to_json
from marketplace_settings_fixed import ALWAYS, WHILE_LIVE

from tests.support.minion import Droplet

OTHER = {
    "network.docker.subnet": "10.99.0.0/24",
    "network.docker.pool": "10.99.128.0/17",
    "network.app.subnet": "10.99.10.0/24",
    "network.data.subnet": "10.99.20.0/24",
    "postgres.user": "70:70",
    "postgres.database": "shop",
    "postgres.roles.owner": "shop_owner",
    "postgres.roles.application": "shop_app",
    "postgres.roles.backup": "shop_backup",
    "postgres.roles.monitoring": "shop_monitor",
    "redis.user": "1001:1001",
    "postgres.device": "/dev/sda",
    "redis.device": "/dev/sdb",
    "backup.device": "/dev/sdc",
    "redis.users.application": "shop",
    "backend.user": "10002:10002",
    "backend.port": 9000,
    "edge.webhook_path": "/hook",
}
GIB = 2**30


@pytest.fixture
def converged(tmp_path):
    droplet = Droplet(tmp_path)
    assert write(droplet).result is True
    volumes = droplet.root / "var/lib/marketplace/volumes"
    volumes.mkdir(parents=True)
    (volumes / "postgres.img").touch()
    return droplet


def write(droplet, test=False):
    return droplet.minion(test=test).run("settings.written", "Ensure the settings are written")


def release(droplet, outcome):
    record = {
        "release": "20260102T030405Z",
        "version": "1.0.0",
        "image": "ghcr.io/team/marketplace@sha256:00",
        "previous": None,
        "outcome": outcome,
        "reason": "",
        "colour": "blue",
        "schema": {},
        "by": "root",
        "tree": "",
        "started": "2026-01-02T03:04:05Z",
        "seconds": 1.0,
        "settings_digest": "",
        "steps": [],
        "chain": "",
    }
    ledger = droplet.root / "var/lib/marketplace/ledger"
    ledger.mkdir(parents=True)
    (ledger / "20260102T030405Z.json").write_text(to_json(record))


def at(settings, path):
    for part in path.split("."):
        settings = settings[part]
    return settings


def test_a_first_converge_that_failed_early_may_choose_again(tmp_path):
    droplet = Droplet(tmp_path)
    assert write(droplet).result is True
    droplet.say(changes={"postgres.database": "shop"})
    assert write(droplet).result is True


def test_there_is_another_value_for_each_fixed_setting():
    assert set(OTHER) == {*ALWAYS, *WHILE_LIVE}


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize("path", ALWAYS)
def test_a_fixed_setting_that_changes_stops_the_run(converged, path, test):
    before = converged.file("settings.json").read_text()
    converged.say(changes={path: OTHER[path]})
    result = write(converged, test)
    assert (result.result, result.changes) == (False, {})
    assert f"{path} is {OTHER[path]} in pillar and {at(json.loads(before), path)} here: " in result.comment
    assert "Put the old values back" in result.comment
    assert converged.file("settings.json").read_text() == before


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize("path", WHILE_LIVE)
def test_what_a_live_backend_runs_on_is_fixed_while_it_is_live(converged, path, test):
    release(converged, "live")
    converged.say(changes={path: OTHER[path]})
    result = write(converged, test)
    assert (result.result, result.changes) == (False, {})
    assert f"{path} is {OTHER[path]} in pillar" in result.comment


@pytest.mark.parametrize("path", WHILE_LIVE)
def test_what_a_backend_will_run_on_may_change_before_one_is_live(converged, path):
    release(converged, "refused")
    converged.say(changes={path: OTHER[path]})
    result = write(converged)
    assert (result.result, list(result.changes["settings"])) == (True, [path])


def test_a_damaged_ledger_counts_as_live(converged):
    release(converged, "live")
    next((converged.root / "var/lib/marketplace/ledger").iterdir()).write_text("{")
    converged.say(changes={"backend.port": 9000})
    assert write(converged).result is False


def test_every_fixed_setting_that_changes_is_named_at_once(converged):
    converged.say(changes={"postgres.user": "70:70", "redis.user": "70:70", "redis.stop_grace": 40})
    comment = write(converged).comment
    assert comment.count("\n  - ") == 2
    assert "stop_grace" not in comment


def test_a_first_converge_may_choose_anything(tmp_path):
    droplet = Droplet(tmp_path)
    droplet.say(changes=OTHER)
    assert write(droplet).result is True


def machine(droplet, memory=4 * GIB, cpus="0-1", limit=None):
    """Make the droplet's directory look like the root of a machine."""
    for directory in ("proc", "sys/devices/system/cpu", "sys/fs/cgroup"):
        (droplet.root / directory).mkdir(parents=True)
    (droplet.root / "proc/meminfo").write_text(f"MemTotal: {memory // 1024} kB\nMemFree: 1 kB\n")
    (droplet.root / "sys/devices/system/cpu/online").write_text(f"{cpus}\n")
    if limit is not None:
        (droplet.root / "sys/fs/cgroup/memory.max").write_text(f"{limit}\n")


SMALL_DISKS = {"postgres.disk": "256M", "redis.disk": "600M", "droplet": {"swap": 0}}


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"memory": 2 * GIB}, "droplet.memory is 4G, but this machine has 2G"),
        ({"memory": 64 * GIB, "limit": GIB}, "droplet.memory is 4G, but this machine has 1G"),
        ({"cpus": "0"}, "droplet.cpus is 2, but this machine has 1"),
    ],
)
def test_a_smaller_machine_than_declared_is_refused(tmp_path, facts, says, test):
    droplet = Droplet(tmp_path)
    droplet.say(changes=SMALL_DISKS)
    machine(droplet, **facts)
    result = write(droplet, test)
    assert (result.result, result.changes) == (False, {})
    assert says in result.comment
    assert not droplet.file("settings.json").exists()


@pytest.mark.parametrize(
    "facts",
    [{"memory": int(3.8 * GIB)}, {"memory": 64 * GIB, "limit": 4 * GIB}, {"limit": "max", "cpus": "0-1,4"}],
)
def test_a_machine_as_declared_is_fine(tmp_path, facts):
    droplet = Droplet(tmp_path)
    droplet.say(changes=SMALL_DISKS)
    machine(droplet, **facts)
    result = write(droplet)
    assert result.result is True, result.comment


def test_more_disk_than_is_free_is_refused(tmp_path):
    droplet = Droplet(tmp_path)
    droplet.say(changes={"postgres.disk": "900T", "droplet": {"disk": "2000T"}})
    machine(droplet)
    result = write(droplet)
    assert result.result is False
    assert "postgres.disk 900T + redis.disk 2G + backup.disk 20G + droplet.swap 1G = " in result.comment
