"""The catalogue of backups, what is let go of, and whether they can be relied on."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_backup_status import judge, status
from marketplace_backups import Backup, Catalogue, file_digest, log_below, superfluous
from marketplace_barman import Barman, BarmanError, base_of, reason
from marketplace_drills import Drills
from marketplace_durable import make_directory
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_receiver import Receiver, Reception
from marketplace_wal import Segment

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WELL = Reception(active=True, behind=0, lost=False)


def backup(days=0.0, kind="postgres", **changes):
    at = (NOW - timedelta(days=days)).isoformat()
    return Backup(kind, f"b{days:08.3f}", at, at, 1000, {}, **changes)


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(tmp_path)


def test_what_is_recorded_is_listed_newest_first(catalogue):
    for days in (3, 1, 2):
        catalogue.add(backup(days))
    catalogue.add(backup(0, kind="redis"))
    assert [found.id for found in catalogue.all()] == ["b0000.000", "b0001.000", "b0002.000", "b0003.000"]
    assert catalogue.newest("postgres") == backup(1)


def test_a_backup_that_was_found_bad_is_not_the_newest_good_one(catalogue):
    catalogue.add(backup(2))
    catalogue.add(backup(1))
    catalogue.looked_through(backup(1), ["base.tar.zst is another"], NOW)
    assert catalogue.newest("postgres") == backup(2)
    assert "base.tar.zst is another" in catalogue.of("postgres")[0].row("droplet")["verified"]


def test_a_forgotten_record_is_gone(catalogue):
    catalogue.add(backup(1))
    catalogue.forget(backup(1))
    assert catalogue.all() == []
    assert catalogue.newest("postgres") is None


def test_a_record_that_is_none_is_named(catalogue):
    catalogue.add(backup(1))
    (catalogue.records / "postgres-x.json").write_text('{"problems": []}')
    with pytest.raises(ValueError, match=r"postgres-x\.json"):
        catalogue.all()


def test_a_changed_and_a_missing_file_are_named(catalogue, tmp_path):
    (tmp_path / "a").write_bytes(b"as it was")
    (tmp_path / "b").write_bytes(b"as it was")
    files = {name: file_digest(tmp_path / name) for name in ("a", "b")} | {"c": "0"}
    kept = replace(backup(1), files=files)
    (tmp_path / "b").write_bytes(b"as it wat")
    changed = catalogue.changed(kept)
    assert [words.split()[0] for words in changed] == ["b", "c"]


def test_the_newest_from_before_the_window_stays():
    kept = [backup(days) for days in (0.5, 3, 6.9, 7.1, 8, 12)]
    assert [found.id for found in superfluous(kept, timedelta(days=7), NOW)] == ["b0012.000", "b0008.000"]


def test_a_bad_one_does_not_count_as_the_one_to_begin_from():
    kept = [backup(1), backup(7.5, problems=("broken",)), backup(8), backup(9)]
    gone = [found.id for found in superfluous(kept, timedelta(days=7), NOW)]
    assert gone == ["b0009.000", "b0007.500"]


def test_nothing_goes_where_nothing_is_old_and_good():
    assert superfluous([backup(1), backup(9, problems=("broken",))], timedelta(days=7), NOW) == []
    assert superfluous([], timedelta(days=7), NOW) == []


@given(
    st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=12, unique_by=lambda pair: pair[0]),
    st.integers(0, 10),
)
def test_any_second_of_the_window_can_still_be_restored(taken, days):
    kept = [backup(age / 10, problems=() if good else ("broken",)) for age, good in taken]
    gone = superfluous(kept, timedelta(days=days), NOW)
    left = [found for found in kept if found not in gone]
    for moment in (NOW - timedelta(days=days), NOW):
        before = [found for found in kept if found.good and found.taken <= moment]
        after = [found for found in left if found.good and found.taken <= moment]
        assert bool(before) == bool(after)
    # And the newest good one is never let go of, however little is kept.
    good = [found for found in kept if found.good]
    assert not good or max(good, key=lambda found: found.taken) in left


def test_the_log_is_read_with_its_histories(tmp_path):
    place = tmp_path / "wals/0000000100000000"
    place.mkdir(parents=True)
    (place / "000000010000000000000003").write_bytes(b"")
    (tmp_path / "wals/postgres-xlog.db").write_bytes(b"")
    (tmp_path / "wals/00000002.history").write_text("1\t0/5000060\tx\n")
    (tmp_path / "streaming").mkdir()
    (tmp_path / "streaming/000000020000000000000006.partial").write_bytes(b"")
    found = log_below(tmp_path)
    assert list(found.files) == [Segment(1, 3)]
    assert found.histories == {2: {1: 5}}
    assert found.receiving == (Segment(2, 6),)
    assert found.chain(Segment(1, 3)).gaps == ((Segment(1, 4), Segment(1, 4)), (Segment(2, 5), Segment(2, 5)))
    assert log_below(tmp_path / "nowhere").files == {}


def newest(**changes):
    return {"postgres": backup(0.5), "redis": backup(0.5, kind="redis")} | changes


def test_good_backups_and_a_receiver_are_no_trouble():
    assert judge(newest(dump=backup(6, kind="dump")), WELL, [], NOW) == []


@pytest.mark.parametrize(
    ("changes", "reception", "says"),
    [
        ({"postgres": None}, WELL, "no good backup of postgres"),
        ({"redis": None}, WELL, "no good backup of redis"),
        ({"postgres": backup(2)}, WELL, "is 48 h old"),
        ({"dump": backup(9, kind="dump")}, WELL, "is 216 h old"),
        ({}, Reception(active=False, behind=None, lost=False), "nobody receives"),
        ({}, Reception(active=True, behind=1 << 30, lost=False), "1G behind"),
        ({}, Reception(active=False, behind=0, lost=True), "no longer has the log"),
        ({}, Reception(active=True, behind=1 << 20, lost=False, at_risk=True), "will delete what it needs"),
        ({}, Reception(active=False, behind=1 << 20, lost=False, at_risk=True), "nobody receives"),
    ],
)
def test_each_trouble_is_said(changes, reception, says):
    found = judge(newest(**changes), reception, [], NOW)
    assert len(found) == 1
    assert says in found[0]


def test_a_database_that_is_away_is_not_the_backups_trouble():
    assert judge(newest(), None, [], NOW) == []
    assert judge(newest(), None, ["log segment 3 is missing"], NOW) == ["log segment 3 is missing"]


@pytest.fixture
def world(tmp_path):
    paths = Paths(tmp_path)
    world = SimpleNamespace(
        paths=paths,
        catalogue=Catalogue(paths.backups),
        receiver=SimpleNamespace(look=lambda: WELL),
        host=SimpleNamespace(free=lambda _: (1, 2)),
        clock=SimpleNamespace(now=lambda: NOW),
        lock=Lock(paths.backup_lock),
        database=SimpleNamespace(beginning=lambda _: []),
    )
    for kind, days in (("postgres", 3), ("postgres", 0.5), ("dump", 3), ("redis", 0.5), ("house", 0.5)):
        world.catalogue.add(backup(days, kind))
    return world


@pytest.mark.parametrize(
    ("damaged", "advice"),
    [
        (lambda paths: paths.backups / "records/redis-x.json", "backup.fetch brings it back"),
        (lambda paths: paths.backups / "drills/20261124T043000.json", "backup.drill makes a new one"),
        (lambda paths: paths.state / "shipped.json", "backup:storage:target"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"[1]", b'{"problems": 5, "time": 5, "files": 5}', b"\xff\xfe"])
def test_a_damaged_file_is_named_and_hides_nothing_else(world, damaged, advice, content):
    file = damaged(world.paths)
    make_directory(file.parent)
    file.write_bytes(content)
    (told,) = status(world, None)["trouble"]
    assert str(file) in told
    assert "move it away" in told
    assert advice in told


@pytest.mark.parametrize(("most", "says"), [(0, "for 72 h; none was tried"), (1, "for 1 days")])
def test_a_droplet_on_which_no_drill_passes_says_so_once(world, most, says):
    paths = world.paths
    make_directory(paths.ledger)
    (paths.ledger / "20261120T081500Z.json").write_text("{}")
    here = {"managed": {"host": ""}}
    settings = {
        "backup": {"max_drill_age": most, "storage": {"target": ""}},
        "postgres": here,
        "redis": here,
    }
    (told,) = status(world, settings)["trouble"]
    assert f"no backup was restored on trial {says}" in told
    at = (NOW - timedelta(hours=8)).isoformat()
    Drills(paths.backups / "drills").add(
        {
            "id": "20261125T043000",
            "time": at,
            "outcome": "passed",
            "rpo_seconds": 1,
            "rto_seconds": 2,
            "size": "1M",
        }
    )
    assert status(world, settings)["trouble"] == []


@pytest.mark.parametrize(
    ("wal_status", "lost", "at_risk"),
    [
        ("reserved", False, False),
        ("extended", False, False),
        # Nothing is gone yet: who starts over now cuts off a log that may still be received.
        ("unreserved", False, True),
        ("lost", True, False),
        (None, True, False),
    ],
)
def test_only_a_log_that_is_gone_is_lost(tmp_path, wal_status, lost, at_risk):
    said = json.dumps({"active": True, "status": wal_status, "behind": 7})
    database = SimpleNamespace(ask=lambda *_: said)
    found = Receiver(database, Barman(tmp_path)).look()
    assert found == Reception(active=True, behind=7, lost=lost, at_risk=at_risk)


def test_what_systemd_says_of_a_receiver_that_does_not_start_is_told(tmp_path, monkeypatch):
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho Unit is masked. >&2\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    receiver = Receiver(SimpleNamespace(), Barman(tmp_path / "barman"))
    with pytest.raises(BarmanError, match=r"systemctl start barman-.* failed: Unit is masked\."):
        receiver.start()


INFORMATION = """backup_label='START WAL LOCATION: 0/D000028 (file 00000001000000000000000D)\\n'
begin_time=2026-11-25 16:08:27.769971+00:00
begin_wal=00000001000000000000000D
end_time=None
end_wal=00000001000000000000000E
error=None
status=WAITING_FOR_WALS
"""


def test_what_barman_knows_of_a_backup_is_read():
    base = base_of("20261125T160827", INFORMATION, 17)
    assert (base.begin, base.end, base.ended) == (
        "00000001000000000000000D",
        "00000001000000000000000E",
        "",
    )
    assert not base.done
    assert base_of("x", INFORMATION.replace("WAITING_FOR_WALS", "DONE"), 17).done


def test_what_barman_says_twice_is_said_once():
    said = (
        "2026-11-25 15:59:13,346 [9305] barman.server ERROR: Check 'WAL archive' failed\n"
        "2026-11-25 15:59:13,926 [9305] barman.server ERROR: Impossible to start the backup\n"
        "ERROR: Impossible to start the backup\n"
    )
    assert reason(said) == "Check 'WAL archive' failed / Impossible to start the backup"
    assert reason("\n") == "no output"


def test_what_a_killed_restore_has_left_is_cleared(tmp_path, monkeypatch):
    # Where Barman copies a packed backup to, before it unpacks it.
    monkeypatch.setattr("marketplace_barman.subprocess.run", lambda *_, **__: None)
    staged = tmp_path / "staging/barman-staging-postgres-20261126T010707/base.tar.zst"
    staged.parent.mkdir(parents=True)
    staged.write_text("half")
    Barman(tmp_path / "barman").end()
    assert not staged.exists()


def base_on_disk(home, identity, information):
    meta, data = home / "postgres" / "meta", home / "postgres" / "base" / identity
    meta.mkdir(parents=True, exist_ok=True)
    (data / "data").mkdir(parents=True)
    (data / "data" / "base.tar").write_text("half")
    (meta / f"{identity}-backup.info").write_text(information)


def test_what_failed_before_it_had_begun_is_deleted_without_barman(tmp_path, monkeypatch):
    barman, asked = Barman(tmp_path), []
    monkeypatch.setattr(Barman, "run", lambda self, *words, **_: asked.append(words) or "")
    base_on_disk(tmp_path, "20261126T010707", "status=FAILED\nbegin_wal=None\npgdata=None\n")
    base_on_disk(tmp_path, "20261126T010800", "status=FAILED\nbegin_wal=000000010000000000000007\n")
    barman.discard("20261126T010707")
    assert [base.id for base in barman.bases()] == ["20261126T010800"]
    assert not (tmp_path / "postgres" / "base" / "20261126T010707").exists()
    assert asked == []
    # Of what had begun Barman knows which log goes with it.
    barman.discard("20261126T010800")
    assert asked == [("delete", "postgres", "20261126T010800")]
