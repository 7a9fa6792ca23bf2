"""Whom the watchdog as a whole restarts, whom it leaves, and what is told of that."""

import pytest
from marketplace_slo_lines import added
from marketplace_spool import Spool
from marketplace_watch_heal import MOST
from marketplace_watch_look import is_up
from marketplace_watched import watched

from tests.support.looks import NOW, container, look, silent
from tests.support.watching import (
    SETTINGS,
    lines,
    probed,
    watched_paths,  # noqa: F401 - a fixture
    watching,
)


def hung(at=NOW):
    state = container("redis", ailing=True)
    return look(at=at, checks={"redis": silent(12)}, with_containers={"redis": state})


def test_what_hangs_is_restarted_and_told(paths):
    watch = watching(paths)
    watch.look.next = hung()
    watch.turn(SETTINGS)
    assert watch.look.restarted == [("redis", 1)]
    event = Spool(paths.spool).pending()[0]
    assert (event.kind, event.severity) == ("watch.restarted", "warning")
    assert event.summary == "redis is alive and has given no answer for 12 s: it was restarted"
    assert [row["name"] for row in watched(paths.watched, NOW)["alerts"]] == ["service.down"]


def test_who_was_just_restarted_is_given_time(paths):
    watch = watching(paths)
    for seconds in (0, 3, 19):
        watch.look.next = hung(NOW + seconds)
        watch.turn(SETTINGS)
    assert len(watch.look.restarted) == 1


def test_a_disk_that_is_full_keeps_nobody_from_being_restarted(paths, monkeypatch):
    watch = watching(paths)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch.spool, "emit", full)
    watch.look.next = hung()
    watch.turn(SETTINGS)
    assert watch.look.restarted == [("redis", 1)]
    assert "service.down/redis" in watch.quick.active


def test_an_edge_that_hangs_is_restarted_and_did_not_end_by_itself(paths, monkeypatch):
    watch, killed = watching(paths), []
    monkeypatch.setattr("subprocess.run", lambda command, **_: killed.append(command))

    def surveyed(at, times, **changes):
        watch.surveyor.found["restarts"] = {"edge": times}
        watch.surveyor.turn = lambda: ["restarts"]
        watch.look.next = look(at=at, **changes)
        watch.turn(SETTINGS)

    probed(watch, NOW - 3)
    surveyed(NOW, 0)
    # This survey has looked before.
    surveyed(NOW + 9, 0, statistics=None, silent=9.0)
    surveyed(NOW + 40, 1)
    assert killed == [["systemctl", "kill", "--signal=KILL", "haproxy.service"]]
    assert Spool(paths.spool).pending()[0].summary.endswith("for 9 s: it was restarted")
    assert "service.restarted/edge" not in watch.quick.active
    surveyed(NOW + 70, 2)
    surveyed(NOW + 73, 2)
    assert "service.restarted/edge" in watch.quick.active
    watch.recorder.stop()
    assert added(line.counts for line in lines(paths))["restarts.edge"] == 2


def test_an_edge_that_is_stopped_is_told_and_left(paths):
    watch = watching(paths)
    for step in range(10):
        silent_for = 3.0 * step
        watch.look.next = look(at=NOW + silent_for, statistics=None, silent=silent_for, edge_up=False)
        watch.turn(SETTINGS)
    assert Spool(paths.spool).pending() == []
    assert list(watch.quick.active) == ["service.down/edge"]


@pytest.mark.parametrize(
    ("state", "up"),
    [
        ("active", True),
        ("reloading", True),
        ("activating", False),
        ("inactive", False),
        ("failed", False),
        (None, True),
    ],
)
def test_whether_a_unit_should_answer(tmp_path, monkeypatch, state, up):
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\necho {state}\n" if state else "#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert is_up("haproxy.service") is up


def test_what_can_not_be_restarted_is_told_too(paths):
    watch = watching(paths)
    watch.look.next, watch.look.broken = hung(), True
    watch.turn(SETTINGS)
    assert "could not be restarted (no such mount)" in Spool(paths.spool).pending()[0].summary


def test_who_was_restarted_too_often_is_left_also_by_another_process(paths):
    for number in range(MOST + 1):
        watch = watching(paths)
        watch.look.next = hung(NOW + 60 * number)
        watch.turn(SETTINGS)
        assert len(watch.look.restarted) == (number < MOST)
    assert "service.given_up/redis" in watch.quick.active
