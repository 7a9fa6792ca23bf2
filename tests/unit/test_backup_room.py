"""What goes for the next backup when the disk is short of room, and what never does."""

import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_backup_create import _Run
from marketplace_backup_room import FLOOR, RESERVE
from marketplace_backup_world import BackupError
from marketplace_backups import Backup, Catalogue
from marketplace_barman import Base
from marketplace_drill import _DumpRun as _DumpDrill
from marketplace_drill import _Run as _Drill
from marketplace_drill import drill_recovery
from marketplace_dump import Dumps
from marketplace_dump_server import DumpServer
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_progress import Progress
from marketplace_recovery import Recovery
from marketplace_spool import Spool

NOW = datetime(2026, 11, 25, 2, 35, tzinfo=UTC)
SETTINGS = {
    "backup": {"keep_days": 7, "storage": {"target": ""}},
    "postgres": {"managed": {"host": ""}, "database": "marketplace"},
    "redis": {"managed": {"host": ""}},
}
SIZE = 100


class World(SimpleNamespace):
    """A file system of so many bytes, on which base backups of ``SIZE`` are all that counts."""

    def __init__(self, root, total, status="x"):
        paths = Paths(root)
        (paths.backups / "house").mkdir(parents=True)
        self.half, self.status = [], status
        super().__init__(
            paths=paths,
            catalogue=Catalogue(paths.backups),
            spool=Spool(paths.spool),
            clock=SimpleNamespace(now=lambda: NOW),
            host=SimpleNamespace(free=lambda _: (total - self.used(), total)),
            barman=SimpleNamespace(
                bases=self.bases, delete=lambda _: None, discard=self.half.remove, directory=root / "barman"
            ),
            database=SimpleNamespace(size=lambda _: 2 * SIZE),
            docker=None,
        )

    def used(self):
        return sum(backup.bytes for backup in self.catalogue.all()) + SIZE * len(self.half)

    def bases(self):
        known = [backup.id for backup in self.catalogue.of("postgres")]
        return [Base(name, self.status, "", "", "", "", SIZE, 0) for name in (*known, *self.half)]

    def add(self, *days, kind="postgres", **changes):
        for each in days:
            at = (NOW - timedelta(days=each)).isoformat()
            self.catalogue.add(Backup(kind, f"{each}", at, at, SIZE, {}, **changes))

    def ids(self, kind="postgres"):
        return [backup.id for backup in self.catalogue.of(kind)]

    def shortened(self):
        return [event.summary for event in self.spool.pending() if event.kind == "backup.shortened"]

    @property
    def run(self):
        return _Run(self, SETTINGS, Progress())


def test_where_there_is_room_nothing_goes(tmp_path):
    world = World(tmp_path, total=2000)
    world.add(9, 8, 3, 2, 1)
    assert "about 150 bytes needed" in world.run.room()
    assert world.ids() == ["1", "2", "3", "8", "9"]


def test_what_keep_days_does_not_need_goes_first_and_nobody_is_told(tmp_path):
    world = World(tmp_path, total=700)
    world.add(10, 9, 8, 2, 1)
    world.add(30, 20, kind="dump")
    world.half.append("killed")
    world.run.room()
    assert (world.ids(), world.ids("dump"), world.half) == (["1", "2", "8"], ["20"], [])
    assert world.shortened() == []


def test_below_keep_days_it_is_told_from_when_on_can_be_restored(tmp_path):
    world = World(tmp_path, total=600)
    world.add(5, 4, 3, 2, 1)
    assert "1 that keep_days needs let go of" in world.run.room()
    assert world.ids() == ["1", "2", "3", "4"]
    (told,) = world.shortened()
    assert "the backups of 7 days" in told
    assert "before 2026-11-21T02:35:00+00:00 can be restored" in told


def test_the_backup_of_the_night_before_stays_and_the_next_is_refused(tmp_path):
    world = World(tmp_path, total=400)
    world.add(1)
    world.add(0.1, 0.2)
    with pytest.raises(BackupError, match="not even all that may go would be enough: a larger backup:disk"):
        world.run.room()
    assert world.ids() == ["0.1", "0.2", "1"]
    assert world.shortened() == []


def test_nothing_goes_that_would_go_in_vain(tmp_path):
    world = World(tmp_path, total=600)
    world.add(6, 5, 4, 3, 2, 1)
    world.add(0, kind="dump")
    world.catalogue.add(replace(world.catalogue.of("postgres")[0], bytes=4 * SIZE))
    with pytest.raises(BackupError, match="about 600 bytes are needed"):
        world.run.room()
    assert world.ids() == ["1", "2", "3", "4", "5", "6"]
    assert world.shortened() == []


def test_the_log_that_goes_along_is_counted(tmp_path):
    """It may be the larger part: who left it out would refuse where there is room."""
    world = World(tmp_path, total=600)
    for number, days in enumerate((3, 2, 1)):
        world.add(days, facts={"begin": f"0000000100000000000000{number:02X}", "end": f"{number}"})
    log = world.barman.directory / "wals/0000000100000000"
    log.mkdir(parents=True)
    for number in range(3):
        (log / f"0000000100000000000000{number:02X}").write_bytes(b"x" * 120)

    def delete(_):
        oldest = min(base.begin.number for base in world.catalogue.of("postgres"))
        for file in log.iterdir():
            if int(file.name[-2:], 16) < oldest:
                file.unlink()

    world.barman.delete = delete
    bases = world.used
    world.used = lambda: bases() + sum(file.stat().st_size for file in log.iterdir())
    world.run.room()
    assert world.ids() == ["1"]


@given(
    st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=10, unique_by=lambda pair: pair[0]),
    st.integers(1, 12),
)
def test_whatever_goes_the_floor_stays(tmp_path_factory, taken, room):
    world = World(tmp_path_factory.mktemp("room"), total=SIZE * room)
    for tenths, good in taken:
        world.add(tenths / 10, problems=() if good else ("broken",))
    before = [backup for backup in world.catalogue.of("postgres") if backup.good]
    short = [backup for backup in before if NOW - backup.taken < timedelta(days=7)]
    try:
        world.run.room()
    except BackupError:
        assert world.run.space.free() < 1.5 * SIZE
    left = [backup for backup in world.catalogue.of("postgres") if backup.good]
    at_floor = next((backup for backup in before if NOW - backup.taken >= FLOOR), None)
    assert at_floor is None or at_floor in left
    assert all(backup in left for backup in before if NOW - backup.taken < FLOOR)
    # Whoever can go back less far than was asked for is told so.
    if any(backup not in left for backup in short):
        assert world.shortened()


@pytest.mark.parametrize("part", ["dump", "cache", "house"])
def test_nothing_is_begun_that_has_no_room(tmp_path, monkeypatch, part):
    world = World(tmp_path, total=1000)
    for kind, days in itertools.product(("dump", "house"), (8, 9)):
        world.add(days, kind=kind)
    world.add(1)
    snapshot = tmp_path / "srv/data/redis/data/dump.rdb"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(b"x" * (SIZE - 25))
    begun = []
    for name in ("take_dump", "take_snapshot", "take_house"):
        monkeypatch.setattr(
            f"marketplace_backup_create.{name}",
            lambda *_, name=name: begun.append(name) or Backup(name, "x", *2 * (NOW.isoformat(),), 1, {}),
        )
    world.half.extend(["killed"] * 4)
    # There are 50 but for the reserve; the oldest go, and what was never done, and then there is room.
    assert getattr(world.run, part)()
    assert len(begun) == 1
    world.add(0.5)
    filled = Backup(
        "redis", "large", NOW.isoformat(), NOW.isoformat(), int(1000 * (1 - RESERVE)) - world.used() - 10, {}
    )
    world.catalogue.add(filled)
    with pytest.raises(BackupError, match=r"about 150 bytes are needed below .* and 10 bytes are free"):
        getattr(world.run, part)()
    assert len(begun) == 1
    # What can still be restored stays.
    assert world.ids() == ["0.5", "1"]


@pytest.mark.parametrize(
    ("host", "status", "left"),
    [
        ("", "WAITING_FOR_WALS", []),
        ("", "DONE", ["first", "second"]),
        ("db.test", "WAITING_FOR_WALS", ["first", "second"]),
    ],
)
def test_what_never_got_done_goes_also_while_there_is_no_other(tmp_path, host, status, left):
    """Each night's would stay, until the disk is full. What is complete and lost its record, or is of before, stays."""
    world = World(tmp_path, total=1000, status=status)
    world.half = ["first", "second"]
    world.barman.discard = world.half.remove
    postgres = SETTINGS["postgres"] | {"managed": {"host": host}}
    _Run(world, SETTINGS | {"postgres": postgres}, Progress()).prune()
    assert world.half == left


def test_an_archive_that_is_just_being_packed_is_not_cleared_away(tmp_path):
    # backup.ship packs one whenever a setting changes, beside whoever is at the backups.
    world = World(tmp_path, total=1000)
    old, new = (world.paths.backups / "house" / name for name in (".20261125T010000", ".20261125T023459"))
    for file, minutes in ((old, 120), (new, 1)):
        file.write_text("half")
        os.utime(file, (NOW.timestamp() - 60 * minutes,) * 2)
    assert "1 that never got done" in world.run.prune()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_damaged_record_keeps_no_backup_from_being_taken_and_nothing_goes(tmp_path, monkeypatch):
    world = World(tmp_path, total=1000)
    world.add(8, 9)
    world.host = SimpleNamespace(free=lambda _: (1000, 1000))
    world.half.append("killed")
    damaged = world.catalogue.records / "redis-x.json"
    damaged.write_text("")
    house = Backup("house", "x", *2 * (NOW.isoformat(),), 1, {})
    monkeypatch.setattr("marketplace_backup_create.take_house", lambda _: house)
    assert "needed" in world.run.room()
    assert "x: 1 byte" in world.run.house()
    with pytest.raises(ValueError, match=f"{damaged}.*move it away"):
        world.run.prune()
    assert world.half == ["killed"]
    assert len(list(world.catalogue.records.glob("postgres-*"))) == 2


def lacking(world, bytes_):
    """A message of what finds so many bytes too few."""
    return rf"are needed below {world.paths.backups} and {bytes_} bytes are free \(what is kept for the log aside\)"


def test_a_dump_inside_a_release_leaves_the_reserve_and_is_refused_before_it_is_begun(tmp_path, monkeypatch):
    world = World(tmp_path, total=1000)
    world.add(1, kind="dump")
    world.host = SimpleNamespace(free=lambda _: (199, 1000))
    world.lock = Lock(tmp_path / "lock")
    monkeypatch.setattr("marketplace_dump.BackupWorld.of", lambda _: world)
    begun = []
    monkeypatch.setattr("marketplace_dump.take_dump", lambda *_: begun.append("dump"))
    with pytest.raises(BackupError, match=f"about 150 bytes {lacking(world, 149)}"):
        Dumps(world.paths).take(SETTINGS, "alice")
    assert begun == []


BASE = Backup("postgres", "x", NOW.isoformat(), NOW.isoformat(), SIZE, {})


@pytest.mark.parametrize(("passing", "reserve", "kept"), [(True, 0, ""), (False, 50, " (what is")])
def test_beside_the_backups_there_is_room_for_what_barman_copies(
    tmp_path, monkeypatch, passing, reserve, kept
):
    """What stays for days leaves the reserve; a drill, which is gone within minutes, may take of it."""
    world, free = World(tmp_path, total=1000), SIZE + 105 + reserve
    monkeypatch.setattr(Recovery, "_size", lambda *_: 100)
    recovery = drill_recovery(world, SETTINGS)
    world.host = SimpleNamespace(free=lambda _: (free - 1, 1000))
    with pytest.raises(BackupError, match="about 205 bytes are needed below") as refused:
        recovery.room(BASE, passing)
    assert f"and 204 bytes are free{kept}" in str(refused.value)
    assert str(refused.value).endswith(": give it more (backup:disk)")
    world.host = SimpleNamespace(free=lambda _: (free, 1000))
    recovery.room(BASE, passing)


@pytest.mark.parametrize(
    ("kind", "part", "room"),
    [(_Drill, "unpack", (Recovery, "room")), (_DumpDrill, "restore", (DumpServer, "load"))],
)
def test_a_drill_says_that_it_passes(tmp_path, monkeypatch, kind, part, room):
    world = World(tmp_path, total=1000)
    world.barman.end = world.barman.put_away = lambda: None
    world.clock.monotonic = lambda: 0.0
    world.add(1, facts={"begin": "000000010000000000000001", "end": "000000010000000000000002"})
    asked = []

    def look(_, base, passing=False):
        asked.append(passing)
        raise BackupError("no room")

    monkeypatch.setattr(*room, look)
    run = kind(world, SETTINGS, Progress())
    run.base = world.catalogue.of("postgres")[0]
    with pytest.raises(BackupError, match="no room"):
        getattr(run, part)()
    assert asked == [True]


def test_a_restore_in_place_needs_room_for_what_barman_copies_at_the_backups(tmp_path, monkeypatch):
    """Nobody writes meanwhile, in a rebuild there is no server yet: nothing is kept for the log then."""
    world = World(tmp_path, total=1000)
    room = {tmp_path: 105, world.paths.backups: SIZE - 1}
    world.host = SimpleNamespace(free=lambda place: (room[place], 1000))
    monkeypatch.setattr(Recovery, "_size", lambda *_: 100)
    recovery = Recovery(world, SETTINGS, tmp_path / "17", user="1:1", name="x", durable=True)
    with pytest.raises(BackupError, match=r"and 99 bytes are free: give it more \(backup:disk\)"):
        recovery.room(BASE)
    room[world.paths.backups] += 1
    recovery.room(BASE)
    room[tmp_path] -= 1
    with pytest.raises(BackupError, match=r"and 104 bytes are free: make .* more \(postgres:disk\)"):
        recovery.room(BASE)


def test_a_dump_in_a_server_of_its_own_leaves_the_reserve(tmp_path, monkeypatch):
    world = World(tmp_path, total=1000)
    world.host = SimpleNamespace(free=lambda _: (6 * SIZE + 49, 1000))
    dump = Backup("dump", "x", NOW.isoformat(), NOW.isoformat(), SIZE, {})
    server = DumpServer(world, SETTINGS, world.paths.backups / "drill", user="1:1", name="x", durable=False)
    with pytest.raises(BackupError, match=f"about 600 bytes {lacking(world, 599)}"):
        server.load(dump)
    # A drill throws it away again within minutes.
    monkeypatch.setattr(DumpServer, "_start_empty", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        server.load(dump, passing=True)
