"""What a survey counts of answers and queries: each once, however often and by whom it is made."""

import json
import time
from types import SimpleNamespace

import pytest
from marketplace_database import DatabaseError
from marketplace_edge import Answered
from marketplace_paths import Paths
from marketplace_survey import survey

SETTINGS = {
    "monitoring": {"thresholds": {"slow": 2, "query": 0.5}},
    "postgres": {"roles": {"application": "app"}},
}


@pytest.fixture
def world(tmp_path):
    world = SimpleNamespace(paths=Paths(tmp_path), log=[], rows="null", now=time.time())
    world.edge = SimpleNamespace(answered=lambda since: [one for one in world.log if one.end >= since])

    def script(database, text, timeout):
        if world.rows is None:
            raise DatabaseError("the database system is starting up")
        return world.rows

    world.database = SimpleNamespace(script=script)
    return world


def look(world, part):
    found = survey(world, SETTINGS, [part])
    assert found["errors"] == {}
    return found["found"][part]


def answer(at, ms=10, status=200):
    return Answered(end=at, active_ms=ms, held_ms=0, retries=0, status=status, colour="blue")


def test_each_answer_counts_once(world):
    world.log = [answer(world.now - 300), answer(world.now - 20), answer(world.now - 10, 2500, 502)]
    assert look(world, "answers") == {
        "count": 2, "slow": 1, "kinds": {"2xx": 1, "5xx": 1}, "milliseconds": {7: 1, 23: 1},
    }  # fmt: skip
    assert look(world, "answers")["count"] == 0
    # Who had gone has taken no time, and is counted.
    world.log.append(answer(world.now - 1, 40, -1))
    found = look(world, "answers")
    assert (found["kinds"], found["milliseconds"]) == ({"none": 1}, {})
    assert look(world, "answers")["count"] == 0


@pytest.mark.parametrize("kept", ["{", '{"at": 1, "until": 1}'])
def test_what_is_too_old_or_broken_is_begun_anew(world, kept):
    file = world.paths.surveyed("answers")
    file.parent.mkdir(parents=True)
    file.write_text(kept)
    world.log = [answer(world.now - 300), answer(world.now - 20)]
    assert look(world, "answers")["count"] == 1


def test_a_survey_that_was_lost_does_not_make_the_next_much_larger(world):
    assert look(world, "answers")["count"] == 0
    file = world.paths.surveyed("answers")
    file.write_text(json.dumps({"at": world.now - 200, "until": world.now - 200}))
    world.log = [answer(world.now - 150), answer(world.now - 20)]
    assert look(world, "answers")["count"] == 1


def test_queries_are_those_since_the_last_time(world):
    world.rows = '[["1/2/t", 10, 50.0, 0.0]]'
    assert look(world, "queries")["count"] == 0
    world.rows = '[["1/2/t", 12, 60.0, 0.0], ["1/3/t", 1, 700.0, 0.0]]'
    assert look(world, "queries") == {"count": 3, "slow": 1, "milliseconds": {5: 2, 19: 1}}
    assert look(world, "queries")["count"] == 0


@pytest.mark.parametrize("rows", ["null", None])
def test_queries_whose_times_can_not_be_had_are_unknown_and_no_error(world, rows):
    world.rows = rows
    assert look(world, "queries") is None


def test_security_updates_are_timed_and_those_that_are_left_to_people_named(world, monkeypatch):
    installs = [
        "Inst docker.io [1] (2 Debian-Security:13/stable-security [amd64])",
        "Inst openssl [1] (2 Debian-Security:13/stable-security [amd64])",
        "Inst vim [1] (2 Debian:13.1/stable [amd64])",
    ]
    config = (
        'Unattended-Upgrade::Package-Blacklist "";\nUnattended-Upgrade::Package-Blacklist:: "docker\\.io$";\n'
    )
    monkeypatch.setattr(
        "marketplace_survey._run", lambda *argv: config if "dump" in argv else "\n".join(installs)
    )
    found = look(world, "updates")
    assert (sorted(found["waited"]), found["held"]) == (["docker.io", "openssl"], ["docker.io"])
    file = world.paths.surveyed("updates")
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"at": world.now - 21600, "since": {"openssl": world.now - 90000}}))
    waited = look(world, "updates")["waited"]
    assert waited["openssl"] >= 90000 > waited["docker.io"]
    del installs[1]
    look(world, "updates")
    installs.append("Inst openssl [2] (3 Debian-Security:13/stable-security [amd64])")
    assert look(world, "updates")["waited"]["openssl"] < 90000
