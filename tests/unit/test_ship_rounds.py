"""Rounds of shipping into a copy that is a dictionary: what is sent when, what is missed there, and what fails."""

import shutil
from datetime import timedelta

import marketplace_ship
import pytest
from marketplace_backup_status import _elsewhere
from marketplace_ship import ship, ship_rounds
from marketplace_ship_memory import Memory, late
from marketplace_vault import VaultError

from tests.support.shelf import (
    NOW,
    Crowd,
    Shelf,
    base,
    droplet,
    droplet_with_a_backup,  # noqa: F401 - a fixture
    keep,
    no_house,  # noqa: F401 - a fixture
    put_away,
    tools,  # noqa: F401 - a fixture
)


def test_what_is_new_is_sent_once_and_a_quiet_round_asks_for_nothing(here):
    shelf = Shelf()
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert shelf.backups == {"redis/1.rdb.zst", "records/redis-1.json"}
    asked = shelf.asked
    assert ship(here, shelf, "x")["files"] == 0
    assert shelf.asked == asked
    keep(here, "2")
    assert ship(here, shelf, "x")["files"] == 2
    assert shelf.owner.endswith(".4")  # two groups, twice


def test_an_emptied_copy_and_another_one_get_everything(here):
    shelf, other = Shelf(), Shelf("s3:other/x")
    ship(here, shelf, "x")
    shelf.files.clear()
    keep(here, "2")
    assert ship(here, shelf, "x")["files"] == 4
    assert [event.kind for event in here.spool.pending()] == ["backup.copy_lost"]
    assert ship(here, other, "x")["files"] == 4
    assert other.backups == shelf.backups


def test_a_round_that_fails_or_is_killed_does_not_lock_its_own_droplet_out(here):
    shelf = Shelf()

    def cut_off(directory, names):
        shelf.files[names[0]] = b""
        raise KeyboardInterrupt

    put, shelf.put = shelf.put, cut_off
    with pytest.raises(KeyboardInterrupt):
        ship(here, shelf, "x")
    shelf.put = put
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    shelf.broken = "away"
    keep(here, "2")
    assert ship(here, shelf, "x")["reason"] == "away"
    shelf.broken = ""
    assert ship(here, shelf, "x")["files"] == 2


def test_what_is_lost_here_stays_at_the_copy_whatever_is_taken_since(tmp_path):
    world, shelf = droplet(tmp_path), Shelf()
    keep(world, "1")
    base(world, "1", 3)
    assert ship(world, shelf, "x")["outcome"] == "shipped"
    before = dict(shelf.files)
    assert len(before) == 10  # an archive, too, and records, and whose it is
    shutil.rmtree(world.paths.backups)
    world.barman.directory.mkdir(parents=True)
    # Rounds by themselves take a new archive; then a night comes.
    world.clock.now = lambda: NOW + timedelta(hours=9)
    assert ship(world, shelf, "x")["outcome"] == "shipped"
    keep(world, "2")
    base(world, "2", 40)
    assert ship(world, shelf, "x") == {"outcome": "shipped", "reason": "", "files": 7, "dropped": 0}
    assert {name for name in before if not name.startswith("owner-")} <= shelf.backups
    assert _elsewhere(world, Memory.read(world), shelf.target)[0].startswith(
        "3 backups are in s3:bucket/x and not"
    )
    # Brought back, they are let go of as ever.
    for name in shelf.backups:
        (world.paths.backups / name).parent.mkdir(parents=True, exist_ok=True)
        (world.paths.backups / name).write_bytes(shelf.files[name])
    assert _elsewhere(world, Memory.read(world), shelf.target) == []
    (old,) = (backup for backup in world.catalogue.of("postgres") if backup.id == "1")
    world.catalogue.forget(old)
    put_away(world, 3).unlink()
    assert ship(world, shelf, "x")["dropped"] == 5  # two files, a record, and two segments
    assert not any("base/1/" in name for name in shelf.backups)
    assert world.catalogue.let_go() == []


def test_what_was_let_go_of_while_the_copy_was_away_goes_later(here):
    shelf = Shelf()
    keep(here, "2")
    ship(here, shelf, "x")
    (old,) = (backup for backup in here.catalogue.all() if backup.id == "1")
    here.catalogue.forget(old)
    (here.paths.backups / "redis/1.rdb.zst").unlink()
    shelf.broken = "away"
    assert ship(here, shelf, "x")["outcome"] == "failed"
    assert _elsewhere(here, Memory.read(here), shelf.target) == []
    shelf.broken = ""
    assert ship(here, shelf, "x")["dropped"] == 2
    assert shelf.backups == {"redis/2.rdb.zst", "records/redis-2.json"}
    assert here.catalogue.let_go() == []


def test_each_backup_is_remembered_by_itself(here):
    shelf = Crowd()
    base(here, "2", 3)
    base(here, "3", 5)

    def cut_off():
        raise VaultError("too slow")

    shelf.meanwhile = cut_off
    answer = ship(here, shelf, "x")
    assert (answer["outcome"], answer["reason"]) == ("failed", "too slow")
    memory = Memory.read(here)
    assert (memory.failing, memory.held["error"]) == (None, "too slow")
    assert late(memory, shelf.target, NOW) == ""
    assert late(memory, shelf.target, NOW + timedelta(minutes=4)) == ""
    memory.last = (NOW + timedelta(hours=2)).isoformat()
    assert "though the log has: too slow" in late(memory, shelf.target, NOW + timedelta(hours=2))
    shelf.meanwhile = lambda: None
    before = len(shelf.calls)
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert all(len([name for name in call if "/base/" in name]) <= 1 for call in shelf.calls)
    redis = [call for call in shelf.calls if "redis/1.rdb.zst" in call]
    assert len(redis) == 1
    assert before < len(shelf.calls)
    assert Memory.read(here).held is None


def test_a_round_that_finds_another_is_left_out_alone(here, monkeypatch):
    monkeypatch.setattr(marketplace_ship, "WAIT_SECONDS", 0)
    shelf = Shelf()
    with here.ship_lock.held("x", "backup.ship"):
        assert ship_rounds(here, shelf, "x", 1, 30)["outcome"] == "refused"
    busy = here.ship_lock.held("x", "backup.ship")
    busy.__enter__()
    here.clock.sleep = lambda seconds: busy.__exit__(None, None, None)
    assert ship_rounds(here, shelf, "x", 2, 30)["outcome"] == "shipped"
    assert shelf.backups == {"redis/1.rdb.zst", "records/redis-1.json"}


def test_a_failure_that_passes_in_time_is_told_to_nobody(here):
    shelf = Shelf()
    shelf.broken = "away"
    assert ship(here, shelf, "x")["outcome"] == "failed"
    shelf.broken = ""
    here.clock.now = lambda: NOW + timedelta(minutes=4)
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert here.spool.pending() == []


def test_once_a_day_what_is_gone_from_the_copy_is_missed(here):
    shelf = Shelf()
    keep(here, "2")
    ship(here, shelf, "x")
    # Sent once, and no longer here.
    lost = Memory.read(here)
    lost.files["records/redis-0.json"] = "1:1"
    lost.write(here)
    here.clock.now = lambda: NOW + timedelta(hours=23)
    del shelf.files["redis/1.rdb.zst"]
    asked = shelf.asked
    assert ship(here, shelf, "x")["files"] == 0
    assert shelf.asked == asked
    assert here.spool.pending() == []
    here.clock.now = lambda: NOW + timedelta(hours=25)
    assert ship(here, shelf, "x")["files"] == 1
    assert "redis/1.rdb.zst" in shelf.backups
    (event,) = here.spool.pending()
    assert event.kind == "backup.copy_lost"
    assert event.summary.startswith(
        "2 files that were sent to s3:bucket/x are not there (records/redis-0.json among"
    )
    here.clock.now = lambda: NOW + timedelta(hours=51)
    assert ship(here, shelf, "x")["files"] == 0
    assert len(here.spool.pending()) == 1


def test_a_damaged_record_is_named_and_once_it_is_moved_away_the_copy_still_has_it(here):
    shelf = Shelf()
    ship(here, shelf, "x")
    whole = dict(shelf.files)
    damaged = here.catalogue.records / "redis-1.json"
    damaged.write_text("")
    answer = ship(here, shelf, "x")
    assert answer["outcome"] == "failed"
    assert f"{damaged} is no record of a backup" in answer["reason"]
    assert "move it away; backup.fetch brings it back" in answer["reason"]
    damaged.unlink()
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert shelf.backups == {"redis/1.rdb.zst", "records/redis-1.json"}
    assert shelf.files["records/redis-1.json"] == whole["records/redis-1.json"]


def test_what_was_sent_is_not_guessed_where_its_file_is_damaged(here):
    shelf = Shelf()
    ship(here, shelf, "x")
    memory = here.paths.state / "shipped.json"
    memory.write_text("{")
    with pytest.raises(ValueError, match=rf"{memory} does not say what was sent.*move it away, and give"):
        ship(here, shelf, "x")
    # As it says: another place gets everything.
    memory.unlink()
    assert "is the copy of another droplet" in ship(here, shelf, "x")["reason"]
    assert ship(here, Shelf("s3:other/x"), "x")["outcome"] == "shipped"
