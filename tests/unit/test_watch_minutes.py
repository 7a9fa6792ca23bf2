"""What the watchdog writes down of every minute: up, down, closed on purpose, and what is counted."""

import json

import pytest
from marketplace_slo import tallied
from marketplace_slo_files import Record
from marketplace_slo_lines import added
from marketplace_slo_probe import Probe

from tests.support.looks import NOW, container, look
from tests.support.watching import (
    SETTINGS,
    lines,
    probed,
    watched_paths,  # noqa: F401 - a fixture
    watching,
)


def test_minutes_are_written_when_they_are_over(paths):
    watch = watching(paths)
    begun = NOW // 60 * 60
    for step in range(14):
        probed(watch, begun + 10 * step, status=503 if step in (3, 4) else 200)
    assert [line.at for line in lines(paths)] == [begun, begun + 60]
    first = lines(paths)[0]
    assert first.down == ((begun + 20, begun + 40),)
    assert first.counts == {"up": 40, "probes": 6, "probes.good": 4}
    watch.recorder.stop()
    assert len(lines(paths)) == 3


def test_no_second_is_lost_or_counted_twice(paths):
    watch = watching(paths)
    for step in range(200):
        probed(watch, NOW + 11.3 * step, status=503 if step % 7 == 3 else 200)
        watch.look.next = look(at=NOW + 11.3 * step + 3)
        watch.turn(SETTINGS)
    watch.recorder.stop()
    whole = tallied(lines(paths))
    assert whole["up"] + whole["down"] == pytest.approx(11.3 * 199)
    assert whole["down"] == pytest.approx(11.3 * 29)
    written = [json.loads(row)["at"] for file in paths.slo.iterdir() for row in file.read_text().splitlines()]
    assert len(written) == len(set(written))


def test_a_bot_that_was_never_there_is_not_missed(paths):
    watch = watching(paths)
    for step in range(30):
        probed(watch, NOW + 10 * step, 503)
    assert "slo.budget/edge" not in watch.quick.active
    probed(watch, NOW + 300)
    probed(watch, NOW + 310, 503)
    watch.recorder.stop()
    assert tallied(lines(paths))["down"] == 10


@pytest.mark.parametrize(
    ("changes", "status", "planned"),
    [
        ({"closed": ("operator",)}, 503, 10),
        ({"closed": ("release",)}, 503, 10),
        # Nothing at all is no maintenance, and a restore in the database's place is none that was planned.
        ({"closed": ("operator",)}, 0, 0),
        ({"closed": ("operator",), "at_backups": "backup.restore to=live"}, 503, 0),
        ({}, 503, 0),
    ],
)
def test_what_was_closed_on_purpose_is_told_apart(paths, changes, status, planned):
    watch = watching(paths)
    probed(watch, NOW)
    probed(watch, NOW + 10, status, **changes)
    watch.recorder.stop()
    whole = tallied(lines(paths))
    assert (whole.get("planned", 0), whole["down"]) == (planned, 10 - planned)


def test_a_rebuild_was_not_planned(paths):
    paths.rebuild.parent.mkdir(parents=True)
    paths.rebuild.write_text("{}")
    watch = watching(paths)
    probed(watch, NOW)
    probed(watch, NOW + 10, 503, closed=("operator",))
    watch.recorder.stop()
    assert tallied(lines(paths))["down"] == 10


def test_a_budget_that_is_used_up_fast_is_told(paths):
    watch = watching(paths)
    probed(watch, NOW - 10)
    for step in range(30):
        probed(watch, NOW + 10 * step, 503)
    told = watch.quick.active["slo.budget/edge"].finding
    assert "5 of the last 60 minutes: 30 days allow 216 (99.5% uptime)" in told.summary
    assert (told.severity, told.command) == ("warning", "salt-call health.slo")
    for step in range(31):
        probed(watch, NOW + 300 + 10 * step)
    assert "slo.budget/edge" not in watch.quick.active


def test_what_a_survey_and_the_restarts_say_is_counted(paths):
    watch = watching(paths)
    watch.surveyor.found = {
        "answers": {"count": 3, "slow": 1, "kinds": {"2xx": 2, "none": 1}, "milliseconds": {"9": 2}},
        "queries": None,
    }
    watch.surveyor.turn = lambda: ["answers", "queries"]
    watch.prober.next = Probe(NOW, 200)
    watch.look.next = look(with_containers={"redis": container("redis", restarts=2)})
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 3, with_containers={"redis": container("redis", restarts=3)})
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 6, with_containers={"redis": container("redis", restarts=3)})
    watch.turn(SETTINGS)
    watch.recorder.stop()
    counts = added(line.counts for line in lines(paths))
    assert counts == {
        "probes": 1, "probes.good": 1,
        "answers": 9, "answers.slow": 3, "answers.2xx": 6, "answers.none": 3, "answers~9": 6,
        "queries.unread": 3, "restarts.redis": 1,
    }  # fmt: skip
    assert watch.history.slow_answers.sums(NOW + 6) == (9, 3)


def test_a_disk_that_is_full_costs_no_minute(paths, monkeypatch, capsys):
    watch = watching(paths)
    real = Record.append

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Record, "append", full)
    for step in range(20):
        probed(watch, NOW + 10 * step)
    assert capsys.readouterr().out.count("can't be written down") == 1
    monkeypatch.setattr(Record, "append", real)
    probed(watch, NOW + 200)
    watch.recorder.stop()
    assert tallied(lines(paths))["up"] == 200
