"""Rounds of shipping into a copy that is a dictionary: what is sent when, and who is kept from it."""

import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import marketplace_ship
import pytest
from marketplace_backup_status import _elsewhere
from marketplace_backups import Backup, Catalogue
from marketplace_host import Host, HostError
from marketplace_lock import Lock, LockHeld
from marketplace_paths import Paths
from marketplace_ship import ship, ship_log, ship_rounds, take_over, was_fetched
from marketplace_ship_memory import Memory, late
from marketplace_spool import Spool
from marketplace_vault import VaultError
from marketplace_wal import Segment

from tests.support.droplet.host import ensure_tools

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Shelf:
    """A copy, in memory: ``files`` by name. ``broken`` is what its next use says."""

    def __init__(self, place="s3:bucket/x"):
        self.target = self.place = place
        self.files = {}
        self.broken = ""
        self.asked = 0

    def _used(self):
        self.asked += 1
        if self.broken:
            raise VaultError(self.broken)

    def top(self):
        self._used()
        return sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in self.files})

    def names(self):
        self._used()
        return sorted(self.files)

    def put(self, directory, names):
        self._used()
        self.files |= {name: (directory / name).read_bytes() for name in names}

    def get(self, directory, names):
        self._used()
        for name in names:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(self.files[name])

    def drop(self, names):
        self._used()
        for name in names:
            self.files.pop(name, None)

    @property
    def backups(self):
        return {name for name in self.files if not name.startswith("owner-")}

    @property
    def owner(self):
        (name,) = self.files.keys() - self.backups
        return name


@pytest.fixture(scope="module", autouse=True)
def tools():
    """What packs archives and segments."""
    ensure_tools({"zstd": "zstd"})


@pytest.fixture
def no_house(monkeypatch):
    """No archives of settings and ledger, for tests that count."""
    monkeypatch.setattr(marketplace_ship, "_take_house", lambda world: None)


def droplet(root):
    paths = Paths(root)
    barman = paths.backups / "barman/postgres"
    barman.mkdir(parents=True)
    slept = []
    return SimpleNamespace(
        paths=paths,
        slept=slept,
        catalogue=Catalogue(paths.backups),
        barman=SimpleNamespace(directory=barman, name="postgres", home=barman.parent),
        spool=Spool(paths.spool),
        lock=Lock(paths.backup_lock),
        ship_lock=Lock(paths.state / "ship.lock"),
        bulk_lock=Lock(paths.state / "ship-backups.lock"),
        clock=SimpleNamespace(now=lambda: NOW, monotonic=lambda: 0.0, sleep=slept.append),
        host=Host(paths.run / "pause"),
    )


def keep(world, identity, content="x"):
    """A backup of the cache, as one is kept."""
    file = world.paths.backups / "redis" / f"{identity}.rdb.zst"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    when = NOW.isoformat()
    world.catalogue.add(Backup("redis", identity, when, when, 1, {f"redis/{identity}.rdb.zst": ""}))


@pytest.fixture
def here(tmp_path, no_house):
    world = droplet(tmp_path / "here")
    keep(world, "1")
    return world


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


def test_a_droplet_that_was_replaced_is_refused_and_the_new_one_goes_on(here, tmp_path):
    shelf, new = Shelf(), droplet(tmp_path / "new")
    ship(here, shelf, "x")
    take_over(new, shelf, "x")
    shelf.get(new.paths.backups, sorted(shelf.backups))
    was_fetched(new, shelf, "x")
    before = set(shelf.backups)
    assert ship(new, shelf, "x")["files"] == 0
    keep(here, "2")
    refused = ship(here, shelf, "x")
    assert (refused["outcome"], shelf.backups) == ("failed", before)
    assert "another droplet" in refused["reason"]
    keep(new, "3")
    assert ship(new, shelf, "x")["files"] == 2


def test_a_droplet_that_comes_back_as_it_was_is_refused(here):
    shelf = Shelf()
    ship(here, shelf, "x")
    file = here.paths.state / "shipped.json"
    yesterday = file.read_text()
    keep(here, "2")
    ship(here, shelf, "x")
    before = dict(shelf.files)
    file.write_text(yesterday)
    keep(here, "2", "another")
    refused = ship(here, shelf, "x")
    assert (refused["outcome"], shelf.files) == ("failed", before)
    assert "newer than this droplet" in refused["reason"]


def test_what_was_shipped_before_copies_had_owners_counts(here):
    shelf = Shelf()
    ship(here, shelf, "x")
    shelf.files.pop(shelf.owner)
    memory = Memory.read(here)
    memory.place, memory.identity = "", ""
    memory.write(here)
    keep(here, "2")
    assert ship(here, shelf, "x")["files"] == 2


def base(world, identity, first):
    """A base backup that needs log from segment ``first`` on, that segment, and one that is just being received."""
    root, barman = world.paths.backups, world.barman.directory
    files = [barman / "base" / identity / "data/base.tar.zst", barman / "meta" / f"{identity}-backup.info"]
    for file in (*files, put_away(world, first), streamed(world, first + 1)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    when = NOW.isoformat()
    names = {str(file.relative_to(root)): "" for file in files}
    world.catalogue.add(Backup("postgres", identity, when, when, 1, names, {"begin": Segment(1, first).name}))


def put_away(world, number):
    return world.barman.directory / "wals/0000000100000000" / Segment(1, number).name


def streamed(world, number):
    return world.barman.directory / "streaming" / f"{Segment(1, number).name}.partial"


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


def test_a_streamed_segment_stays_until_it_was_put_away_and_sent(here):
    shelf, received = Shelf(), streamed(here, 3)
    received.parent.mkdir()
    received.write_text("written")
    ship(here, shelf, "x")
    name = f"shipping/streaming/{received.name}.zst"
    assert name in shelf.backups
    received.unlink()
    assert ship(here, shelf, "x")["dropped"] == 0
    put_away(here, 3).parent.mkdir(parents=True)
    put_away(here, 3).write_text("written")
    assert ship(here, shelf, "x") == {"outcome": "shipped", "reason": "", "files": 1, "dropped": 1}
    assert name not in shelf.backups


class Crowd(Shelf):
    """A copy that counts what comes in one call, and lets others act while a base backup is on its way."""

    def __init__(self):
        super().__init__()
        self.calls, self.meanwhile = [], lambda: None

    def put(self, directory, names):
        super().put(directory, names)
        self.calls.append([name for name in names if not name.startswith("owner-")])
        if any("/base/" in name for name in names):
            self.meanwhile()


def test_log_goes_first_and_goes_on_while_a_backup_is_on_its_way(here):
    shelf, seen = Crowd(), []
    base(here, "2", 3)

    def minute():
        # Cron's next call: another process, which finds the backup's lock held and the log's free.
        put_away(here, 4).write_text("x")
        answer = ship_rounds(here, shelf, "cron", 2, 30)
        seen.append((answer["outcome"], answer["files"], here.bulk_lock.holder() is not None))
        with pytest.raises(LockHeld):
            ship(here, shelf, "somebody")

    shelf.meanwhile = minute
    assert ship_rounds(here, shelf, "cron", 2, 30)["outcome"] == "shipped"
    assert here.slept == [30.0, 30.0]
    log = str(put_away(here, 4).relative_to(here.paths.backups))
    assert [name for name in shelf.calls[0] if "/wals/" in name or "streaming" in name]
    assert not [name for name in shelf.calls[0] if "base" in name]
    # The second of its rounds has nothing left to send.
    assert seen == [("shipped", 0, True)]
    assert [log] in shelf.calls
    order = [name for call in shelf.calls for name in call]
    assert order.index("barman/postgres/base/2/data/base.tar.zst") < order.index(log)
    assert order.index(log) < order.index("records/postgres-2.json")


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


def test_a_log_that_has_piled_up_goes_in_parts(here, monkeypatch):
    monkeypatch.setattr(marketplace_ship, "AT_ONCE_BYTES", 3)
    shelf = Crowd()
    for number in range(8):
        file = put_away(here, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    assert ship_log(here, shelf, "x")["files"] == 8
    assert [len(call) for call in shelf.calls] == [3, 3, 2]
    shelf.broken = "away"
    put_away(here, 9).write_text("x")
    assert ship_log(here, shelf, "x")["outcome"] == "failed"


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


def test_a_backup_that_is_let_go_of_while_it_is_sent_is_left_nowhere(here):
    shelf = Crowd()
    base(here, "2", 3)
    (backup,) = here.catalogue.of("postgres")

    def let_go():
        here.catalogue.forget(backup)
        # A round of log, which finds nothing of it at the copy.
        assert ship_log(here, shelf, "y")["outcome"] == "shipped"

    shelf.meanwhile = let_go
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert not [name for name in shelf.backups if "/base/" in name or "postgres-2" in name]


def test_a_segment_that_is_put_away_while_it_is_packed_is_listed_as_that(here):
    shelf, run = Shelf(), here.host.run
    first, second = streamed(here, 3), streamed(here, 4)
    first.parent.mkdir()
    first.write_text("x")

    def away(*words, **options):
        if first.exists():
            put_away(here, 3).parent.mkdir(parents=True)
            first.rename(put_away(here, 3))
            second.write_text("y")
        return run(*words, **options)

    here.host.run = away
    assert ship_log(here, shelf, "x")["outcome"] == "shipped"
    assert {name for name in shelf.backups if "0000" in name} == {
        str(put_away(here, 3).relative_to(here.paths.backups)),
        f"shipping/streaming/{second.name}.zst",
    }


def test_a_segment_that_can_not_be_packed_is_a_failure_that_is_told(here):
    shelf = Shelf()
    streamed(here, 3).parent.mkdir()
    streamed(here, 3).write_text("x")

    def full(*_, **__):
        raise HostError("zstd failed with exit code 1: No space left on device")

    here.host.run = full
    for minutes in (0, 4, 6, 7):
        here.clock.now = lambda minutes=minutes: NOW + timedelta(minutes=minutes)
        answer = ship(here, shelf, "x")
        assert answer["outcome"] == "failed"
        assert "No space left" in answer["reason"]
        told = [event.kind for event in here.spool.pending()]
        assert told == ([] if minutes < 5 else ["backup.not_shipped"])
    here.host.run = Host(here.paths.run / "pause").run
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert [event.kind for event in here.spool.pending()] == ["backup.not_shipped", "backup.shipped_again"]
    assert here.spool.pending()[0].severity == "critical"


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


def test_a_copy_that_another_droplet_has_taken_over_is_noticed_without_anything_to_send(here, tmp_path):
    shelf = Shelf()
    ship(here, shelf, "x")
    take_over(droplet(tmp_path / "new"), shelf, "x")
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    here.clock.now = lambda: NOW + timedelta(hours=25)
    assert "another droplet" in ship(here, shelf, "x")["reason"]


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
