"""What a rotation does to a droplet, with Docker, PostgreSQL and salt-call as stand-ins."""

import subprocess
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from unittest.mock import Mock

import marketplace_rotation_hands as module
import pytest
from marketplace_clock import Clock
from marketplace_controller import ask, asked
from marketplace_database import Database
from marketplace_docker import Docker
from marketplace_durable import make_directory, read_json
from marketplace_ledger import Ledger
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_rotation import RotationError
from marketplace_rotation_hands import DropletHands
from marketplace_salt import SaltCallError
from marketplace_secrets import Store, before_of
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, pillar

LIVE = SimpleNamespace(version="1.10", image="ghcr.io/team/bot@sha256:00", release="20261124T081500Z")


def said(text):
    return subprocess.CompletedProcess([], 0, text, "")


@pytest.fixture
def hands(tmp_path):
    paths = Paths(tmp_path)
    make_directory(paths.rotation_access.parent)
    make_directory(paths.state)
    parsed, _ = parse(pillar(), "production", ENVIRONMENTS)
    docker, database, ledger = Mock(spec=Docker), Mock(spec=Database), Mock(spec=Ledger)
    docker.run.side_effect = [said("c1\nc2\n"), said("10.213.20.99\n10.213.20.21\n")]
    loads = iter(range(100))
    database.ask.side_effect = lambda _database, query: str(next(loads)) if "load_time" in query else ""
    ledger.live.return_value = LIVE
    world = SimpleNamespace(paths=paths, docker=docker, database=database, ledger=ledger, clock=Clock())
    return DropletHands(world, to_dict(parsed), "alice")


def test_the_containers_that_run_get_in_by_their_addresses(hands):
    hands.admit()
    assert hands.world.paths.rotation_access.read_text() == (
        "hostssl marketplace marketplace_app 10.213.20.21/32 trust\n"
        "hostssl marketplace marketplace_app 10.213.20.99/32 trust\n"
    )
    asked = [call.args[1] for call in hands.world.database.ask.call_args_list]
    assert "SELECT pg_reload_conf()" in asked


def test_where_nothing_runs_nobody_gets_in(hands):
    hands.world.docker.run.side_effect = [said("")]
    hands.admit()
    assert hands.world.paths.rotation_access.read_text() == ""


def test_afterwards_everybody_is_asked_for_a_password_and_once_is_enough(hands):
    hands.admit()
    hands.readmit()
    assert not hands.world.paths.rotation_access.exists()
    count = hands.world.database.ask.call_count
    hands.readmit()
    assert hands.world.database.ask.call_count == count


def test_rules_that_postgresql_refuses_are_not_loaded(hands):
    hands.world.database.ask.side_effect = lambda _database, query: "rotation.conf line 1: no"
    with pytest.raises(
        RotationError, match=r"letting the running backend into the database failed: .*line 1: no"
    ):
        hands.admit()


def test_the_live_image_is_released_again_by_version_and_digest(hands, monkeypatch):
    function = Mock(return_value={"outcome": "live", "release": "20261125T000000Z"})
    monkeypatch.setattr(module, "function", function)
    assert hands.ship() == "20261125T000000Z"
    # Quoted for Salt, which else takes 1.10 for a number.
    assert function.call_args.args == ("deploy.release", "version='1.10'", f"image='{LIVE.image}'")


def test_a_release_that_was_made_before_the_cut_counts(hands, monkeypatch):
    monkeypatch.setattr(module, "function", Mock(return_value={"outcome": "unchanged", "reason": "same"}))
    assert hands.ship() == LIVE.release


def test_without_a_live_release_there_is_nothing_to_release(hands):
    hands.world.ledger.live.return_value = None
    assert hands.ship() == ""


@pytest.mark.parametrize("answer", [{"outcome": "rolled_back", "reason": "not ready"}, ["no"], None])
def test_a_release_that_fails_says_why(hands, monkeypatch, answer):
    monkeypatch.setattr(module, "function", Mock(return_value=answer))
    why = (
        r"releasing the backend failed \(rolled_back\): not ready"
        if isinstance(answer, dict)
        else "backend failed: "
    )
    with pytest.raises(RotationError, match=why):
        hands.ship()


def test_states_that_fail_say_which(hands):
    failing = replace(hands, states=Mock(side_effect=SaltCallError("state.apply: Ensure x: no")))
    with pytest.raises(RotationError, match=r"applying states failed: state.apply: Ensure x: no"):
        failing.apply(("a", "b"))


def test_a_controller_that_is_gone_leaves_it_unfinished(hands):
    answers, output = StringIO("null\n"), StringIO()
    away = replace(hands, states=lambda *states: ask(states, output, answers))
    away.apply(("a", "b"))
    with pytest.raises(RotationError, match="the connection to the controller ended"):
        away.apply(("a", "b"))
    assert [asked(line) for line in output.getvalue().splitlines()] == [["a", "b"], ["a", "b"]]


def test_what_is_replaced_is_pending_until_it_is_done(hands):
    assert hands.noted() == []
    hands.note(["webhook_path"])
    assert hands.noted() == ["webhook_path"]
    assert read_json(hands.world.paths.pending) == [
        "rotation: webhook_path (the value before is still taken; settings.rotate goes on with it)"
    ]
    hands.note([])
    assert hands.noted() == []
    assert read_json(hands.world.paths.pending) == []


def test_nothing_is_replaced_while_a_release_is_on_its_way(hands):
    lock = Lock(hands.world.paths.lock, "release", "wait")
    with (
        lock.held("bob", "release of 1.2.0"),
        pytest.raises(RotationError, match=r"release of 1\.2\.0 by bob"),
        hands.alone(),
    ):
        pytest.fail("a release was under way")


def test_what_a_rebuild_brought_back_of_a_rotation_is_gone_on_with(hands):
    Store(hands.world.paths.secrets).write(before_of("redis_app_password"), "x" * 16)
    assert hands.noted() == ["redis_app_password"]
