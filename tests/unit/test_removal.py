"""A deployment is taken off its host: what has to be said first, what is waited for, what goes, and what is told."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from marketplace_backups import KINDS, Backup
from marketplace_durable import to_json
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_removal import left, unconfirmed
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, pillar
from tests.unit.test_states import load


def test_somebody_has_to_say_which_droplet_is_meant():
    assert unconfirmed("production", "production", test=False) is None
    assert unconfirmed("production", "", test=True) is None
    assert '{"remove": "production"}' in unconfirmed("production", "", test=False)
    for test in (True, False):
        assert "is production, and not staging" in unconfirmed("production", "staging", test=test)


def settings(changes=None):
    parsed, problems = parse(pillar(changes), "production", ENVIRONMENTS)
    assert problems == []
    return to_dict(parsed)


def test_it_is_said_where_the_data_are_and_how_they_are_read():
    text = left(settings(), "production")
    for word in (
        "/srv/data/postgres",
        "/var/backups/marketplace",
        "backup_key",
        "deleteWebhook",
        "/opt/salt",
    ):
        assert word in text
    assert "volumes/postgres.img" in text
    assert "copy elsewhere: none" in text


def test_what_is_at_a_provider_is_said_to_be_there():
    managed = {"managed": {"host": "db.test"}, "address": "db.test", "port": 25060, "database": "main"}
    said = settings()
    text = left(said | {"postgres": said["postgres"] | managed}, "production")
    assert "PostgreSQL is at its provider, db.test:25060: nothing was done there" in text
    assert "/srv/data/redis" in text
    assert "/srv/data/postgres" not in text
    assert "srv-data-postgres.mount" not in text


NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Containers:
    """Docker with some containers, of which ``foreign`` are others', and networks."""

    def __init__(
        self, names=("postgres", "backend-blue"), networks=("bridge", "app", "data"), foreign=(), volumes=()
    ):
        self.names, self.networks, self.foreign = list(names), list(networks), list(foreign)
        self.volumes = volumes

    def run(self, command, *arguments):
        if arguments[0] == "rm":
            self.networks.remove(arguments[1])
        listed = {"ps": [*self.names, *self.foreign], "network": self.networks, "volume": self.volumes}[
            command
        ]
        return SimpleNamespace(stdout="\n".join(listed))

    def remove(self, *names):
        self.names = [name for name in self.names if name not in names]


@pytest.fixture
def removal(tmp_path, monkeypatch):
    """``removal(...)`` is the state's module on a droplet that was converged, with what may be in its way."""
    (tmp_path / "var/lib/marketplace").mkdir(parents=True)
    (tmp_path / "srv/data").mkdir(parents=True)
    Paths(tmp_path).before.write_text(to_json({"packages": ["curl"], "places": {}}))

    def made(test=False, docker=None, busy=None, backups=()):
        docker = docker or Containers()
        module = load(
            "removal",
            __opts__={"id": "production", "test": test, "marketplace_root": str(tmp_path)},
            __pillar__={"settings": settings()},
        )
        catalogue = SimpleNamespace(all=lambda: list(backups))
        world = SimpleNamespace(catalogue=catalogue, clock=SimpleNamespace(now=lambda: NOW), docker=docker)
        of = SimpleNamespace(of=lambda _: world)
        for name, value in {
            "BackupWorld": of,
            "World": of,
            "which": lambda _: "/usr/bin/docker",
            "busy": busy if callable(busy) else lambda _: busy,
            "PATIENCE": 1.0 if callable(busy) else 0.0,
            "others": lambda _: dict.fromkeys(docker.foreign, "image x"),
        }.items():
            monkeypatch.setattr(module, name, value)
        return module

    return made


def kept(kind, hours):
    then = (NOW - timedelta(hours=hours)).isoformat()
    return Backup(kind=kind, id="x", started=then, ended=then, bytes=1, files={})


def test_a_removal_begins_where_nothing_is_in_its_way(removal, tmp_path):
    fresh = [kept(kind, 1) for kind in KINDS]
    ret = removal(backups=fresh).allowed("Ensure", "production")
    assert (ret["result"], ret["changes"], ret.get("warnings")) == (True, {}, None)
    assert removal(backups=fresh).allowed("Ensure", "")["result"] is False
    assert removal(backups=fresh, test=True).allowed("Ensure", "")["result"] is True


@pytest.mark.parametrize("test", [True, False])
def test_a_removal_waits_for_what_is_at_work(removal, tmp_path, test):
    paths = Paths(tmp_path)
    assert "Release 1.4.2" in removal(test, busy="release 1.4.2").allowed("Ensure", "production")["comment"]
    used = removal(test, Containers(foreign=["eve"])).allowed("Ensure", "production")
    assert (used["result"], "eve" in used["comment"]) == (False, True)
    data = Containers(volumes=["f" * 64, "eve_data"])
    assert "use it: volume eve_data." in removal(test, data).allowed("Ensure", "production")["comment"]
    assert removal(test, Containers(volumes=["f" * 64])).allowed("Ensure", "production")["result"] is True
    paths.rotation.write_text("{}")
    assert "settings.rotate" in removal(test).allowed("Ensure", "production")["comment"]
    paths.rotation.unlink()
    with Lock(paths.rebuild_lock).held("alice", "rebuild"):
        assert "by alice" in removal(test).allowed("Ensure", "production")["comment"]
    paths.before.unlink()
    assert "state.apply once" in removal(test).allowed("Ensure", "production")["comment"]


def test_who_is_at_work_for_a_moment_is_waited_for(removal):
    answers = iter(["jobs are looked after", None])
    assert removal(busy=lambda _: next(answers)).allowed("Ensure", "production")["result"] is True


def test_backups_that_are_old_or_missing_are_warned_of(removal):
    backups = [kept("postgres", 50), kept("house", 1), kept("dump", 24)]
    ret = removal(backups=backups).allowed("Ensure", "production")
    assert ret["result"] is True
    assert len(ret["warnings"]) == 2
    assert "postgres is 50 h old" in ret["warnings"][0]
    assert "no good backup of redis" in ret["warnings"][1]


@pytest.mark.parametrize("test", [True, False])
def test_our_containers_and_networks_go_and_others_stay(removal, test):
    docker = Containers(foreign=["eve"])
    ret = removal(test, docker).contained("Ensure", ["app", "data"])
    assert ret["result"] is (None if test else True)
    assert list(ret["changes"]) == [
        "container backend-blue", "container postgres", "network app", "network data"
    ]  # fmt: skip
    assert docker.networks == (["bridge", "app", "data"] if test else ["bridge"])
    if not test:
        assert removal(test, docker).contained("Ensure", ["app", "data"])["changes"] == {}


def test_what_is_left_is_written_down_once(removal, tmp_path):
    paths = Paths(tmp_path)
    assert removal(test=True).told("Ensure")["result"] is None
    assert not paths.removed.exists()
    done = removal().told("Ensure")
    assert done["result"] is True
    assert paths.removed.read_text() == done["comment"]
    assert paths.removed.stat().st_mode & 0o777 == 0o600
    assert not paths.before.exists()
    assert removal().told("Ensure")["changes"] == {}
    # It may be run again, though nobody knows any more what was here before.
    assert removal().allowed("Ensure", "production")["result"] is True
