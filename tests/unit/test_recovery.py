"""From which backup, to where, with which settings; what a census tells; when drills are overdue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from marketplace_backup_world import BackupError
from marketplace_backups import Backup, passed_over
from marketplace_census import Census
from marketplace_drills import KEPT, Drills, first_release, missed, overdue
from marketplace_recovery import Recovery, Target, choose, recovery_settings, without_recovery
from marketplace_restore_cache import choose_snapshot
from marketplace_wal import Segment

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def base(hours, segment=3, timeline=1, **changes):
    at = (NOW - timedelta(hours=hours)).isoformat()
    facts = {"begin": Segment(timeline, segment).name, "end": Segment(timeline, segment + 1).name}
    return Backup("postgres", f"{hours}h", at, at, 1, {}, facts, **changes)


def ago(hours):
    return Target(time=NOW - timedelta(hours=hours))


BASES = [base(50, 2), base(26, 4), base(2, 6)]


@pytest.mark.parametrize(
    ("target", "chosen"), [(Target(), "2h"), (ago(1), "2h"), (ago(3), "26h"), (ago(27), "50h")]
)
def test_the_newest_from_before_the_target_is_chosen(target, chosen):
    assert choose(BASES, target, {}, NOW).id == chosen


@pytest.mark.parametrize(
    ("bases", "target", "says"),
    [
        ([], Target(), "no good base backup"),
        ([base(2, problems=("broken",))], Target(), "no good base backup"),
        (BASES, ago(51), "nothing before that"),
        (BASES, ago(-1), "still to come"),
    ],
)
def test_where_there_is_no_way_it_says_why(bases, target, says):
    with pytest.raises(BackupError, match=says):
        choose(bases, target, {}, NOW)


def test_a_bad_one_is_passed_over():
    assert choose([*BASES, base(1, 7, problems=("broken",))], Target(), {}, NOW).id == "2h"


def test_a_backup_of_what_was_given_up_leads_nowhere():
    # Timeline 1 was left in segment 4: the backup that begins with 6 came after that.
    assert choose(BASES, Target(), {2: {1: 4}}, NOW).id == "26h"
    assert choose([*BASES, base(1, 5, timeline=2)], Target(), {2: {1: 4}}, NOW).id == "1h"
    with pytest.raises(BackupError, match="leads to the log of today"):
        choose([base(2, 6)], Target(), {2: {1: 4}}, NOW)


def test_settings_end_where_they_are_asked_to():
    whole = recovery_settings(Target())
    assert "recovery_target_time " not in whole
    assert "recovery_target_action" not in whole
    timed = recovery_settings(ago(1))
    assert "recovery_target_time = '2026-11-25 11:00:00+00:00'" in timed
    assert "recovery_target_inclusive = off" in timed
    assert "recovery_target_name = 'drill_1'" in recovery_settings(Target(point="drill_1"))


def test_what_was_there_before_a_restore_stays():
    text = "work_mem = '8MB'\n"
    assert without_recovery(text + recovery_settings(ago(1))) == text
    assert without_recovery(text) == text


def test_a_census_names_each_difference():
    expected = Census({"public.a": 3, "public.b": 2}, ("0002",))
    assert expected.differences(expected) == []
    found = expected.differences(Census({"public.a": 2, "public.c": 1}, ("0001",)))
    assert len(found) == 4
    assert "public.a has 2 rows restored, expected 3" in found[0]
    assert "schema is at 0001" in found[-1]


def record(days, outcome="passed"):
    at = NOW - timedelta(days=days)
    return {"id": f"{at:%Y%m%dT%H%M%S}", "time": at.isoformat(), "outcome": outcome, "reason": "so"}


def test_the_last_that_passed_counts(tmp_path):
    drills = Drills(tmp_path)
    for made in (record(9), record(3), record(1, "failed")):
        drills.add(made)
    assert drills.passed() == record(3)
    assert [made["outcome"] for made in drills.all()] == ["failed", "passed", "passed"]


def test_old_drills_are_forgotten(tmp_path):
    drills = Drills(tmp_path)
    for days in range(KEPT + 3, 0, -1):
        drills.add(record(days))
    assert len(drills.all()) == KEPT
    assert drills.all()[0] == record(1)


@pytest.mark.parametrize(
    ("passed", "since", "most", "late"),
    [
        (record(3), NOW - timedelta(days=90), 7, False),
        (record(8), NOW - timedelta(days=90), 7, True),
        (record(8), NOW - timedelta(days=90), 0, False),
        (None, NOW - timedelta(days=6), 7, False),
        (None, NOW - timedelta(days=8), 7, True),
        (None, None, 7, False),
    ],
)
def test_drills_are_overdue_when_none_has_passed_for_so_long(passed, since, most, late):
    words = overdue(passed, since, most, NOW)
    assert bool(words) is late
    assert not late or "backup.drill" in words


@pytest.mark.parametrize(
    ("records", "hours", "says"),
    [
        ([record(1)], 200, ""),
        ([record(1, "failed"), record(1.5)], 200, ""),
        ([record(3)], 200, "for 72 h; none was tried since"),
        ([record(1, "failed"), record(3)], 200, "the last try, at 2026-11-24T12:00:00+00:00, failed: so"),
        # A droplet that is new, one that has never tried, and one without backups, of which others tell.
        ([], 49, ""),
        ([], 60, "for 60 h; none was tried since"),
        ([record(1, "failed")], 60, "for 60 h; the last try"),
        ([], None, ""),
    ],
)
def test_drills_that_are_missed_are_told_after_two_nights(records, hours, says):
    since = None if hours is None else NOW - timedelta(hours=hours)
    words = missed(records, since, NOW)
    assert says in words
    assert bool(words) is bool(says)


def test_a_drill_says_what_it_has_passed_over():
    bad = [base(1, 7, problems=("base.tar.zst is another",)), base(0.5, 1)]
    assert passed_over(BASES, BASES[-1]) == ""
    assert passed_over([*BASES, *bad], BASES[-1]) == (
        "1h passed over (base.tar.zst is another); 0.5h passed over (it leads nowhere)"
    )


def test_a_droplet_is_as_old_as_its_first_release():
    assert first_release(["20261125T081500Z.json", "20261124T081500Z.json"]) == datetime(
        2026, 11, 24, 8, 15, tzinfo=UTC
    )
    assert first_release([]) is None


def snapshot(hours, **changes):
    at = (NOW - timedelta(hours=hours)).isoformat()
    return Backup("redis", f"{hours}h", at, at, 1, {}, **changes)


SNAPSHOTS = [snapshot(2), snapshot(26), snapshot(1, problems=("broken",))]


@pytest.mark.parametrize(("time", "chosen"), [(None, "2h"), (NOW - timedelta(hours=3), "26h")])
def test_the_newest_good_snapshot_that_is_not_younger_is_chosen(time, chosen):
    assert choose_snapshot(SNAPSHOTS, time).id == chosen


@pytest.mark.parametrize(
    ("snapshots", "time", "says"),
    [
        ([], None, "no good snapshot"),
        (SNAPSHOTS[2:], None, "no good snapshot"),
        (
            SNAPSHOTS,
            NOW - timedelta(hours=30),
            "the oldest good snapshot of the cache is of 2026-11-24T10:00:00",
        ),
    ],
)
def test_where_there_is_no_snapshot_it_says_so(snapshots, time, says):
    with pytest.raises(BackupError, match=says):
        choose_snapshot(snapshots, time)


def test_a_long_replay_is_counted_on_though_only_its_last_lines_are_seen(monkeypatch):
    looks = iter(range(1, 6))
    told = []

    def logs(name, lines):
        # As many segments a look as lines are asked for.
        first = next(looks) * lines
        return "\n".join(f'restored log file "{n:024X}" from archive' for n in range(first, first + lines))

    docker = SimpleNamespace(
        containers=lambda name: {name: SimpleNamespace(running=True)},
        logs=logs,
        exec_in=lambda *_, **__: SimpleNamespace(returncode=0, stdout="f" if len(told) == 3 else "t"),
    )
    monkeypatch.setattr("marketplace_recovery.time.sleep", lambda _: None)
    recovery = Recovery(SimpleNamespace(docker=docker), {}, Path("x"), user="1:1", name="x", durable=False)
    said = recovery.wait_open(Target(), SimpleNamespace(update=told.append))
    assert told == [f"{400 * look} log segments so far" for look in (1, 2, 3)]
    assert said == "1600 log segments replayed"
