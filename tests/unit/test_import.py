"""Moving in: what is refused before anything is touched, and what becomes of the data that were here."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from subprocess import TimeoutExpired
from time import monotonic
from types import SimpleNamespace

import pytest
from marketplace_backup_world import BackupError
from marketplace_backups import Backup
from marketplace_census import Census
from marketplace_durable import DISK, to_json, write_atomic
from marketplace_import import ASIDE, LOADING, imported
from marketplace_import_pour import pour
from marketplace_import_source import Source, refuse_unusable
from marketplace_journal import Journal
from marketplace_paths import Paths
from marketplace_restore_cache import restore_cache
from marketplace_survey_rules import ELSEWHERE, webhook

from tests.unit.test_states import load

SETTINGS = {"postgres": {"database": "marketplace", "roles": {"owner": "owner"}, "limits": {"cpus": 1}}}
EMPTY = Census({"public.alembic_version": 1, "public.users": 0}, ("0001",))
USED = Census({"public.alembic_version": 1, "public.users": 3}, ("0001",))


@pytest.fixture
def data(tmp_path):
    """A data directory whose server was stopped in order."""
    (tmp_path / "data/global").mkdir(parents=True)
    (tmp_path / "data/PG_VERSION").write_text("17\n")
    (tmp_path / "data/global/pg_control").write_text("x")
    return tmp_path / "data"


def refusal(source):
    with pytest.raises(BackupError) as caught:
        refuse_unusable(source)
    return str(caught.value)


def test_a_data_directory_is_taken_only_whole_stopped_and_of_our_major_version(data):
    refuse_unusable(Source(data=data))
    for name, words in (
        ("postmaster.pid", "its server runs"),
        ("backup_label", "base backup"),
        ("standby.signal", "standby"),
    ):
        (data / name).write_text("")
        assert words in refusal(Source(data=data))
        (data / name).unlink()
    (data / "PG_VERSION").write_text("16\n")
    assert "of PostgreSQL 16 and this droplet has 17" in refusal(Source(data=data))
    (data / "PG_VERSION").write_text("17\n")
    (data / "global/pg_control").unlink()
    assert "not whole" in refusal(Source(data=data))
    assert "no PG_VERSION" in refusal(Source(data=data / "global"))


def test_files_are_looked_at_before_anything_is_done(tmp_path, data):
    (tmp_path / "dump").write_bytes(b"PGDMP...")
    (tmp_path / "empty").write_bytes(b"")
    refuse_unusable(Source(dump=tmp_path / "dump"))
    assert "nothing is to be imported" in refusal(Source())
    assert "not from both" in refusal(Source(dump=tmp_path / "dump", data=data))
    assert "no file with anything in it" in refusal(Source(dump=tmp_path / "empty"))
    assert "no file with anything in it" in refusal(Source(dump=tmp_path / "nowhere"))
    assert "no snapshot of Redis" in refusal(Source(cache=tmp_path / "dump"))


def test_of_a_large_snapshot_no_more_is_read_than_says_what_it_is(tmp_path):
    with (tmp_path / "dump.rdb").open("wb") as stream:
        stream.write(b"REDIS0012")
        stream.truncate(1 << 40)
    refuse_unusable(Source(cache=tmp_path / "dump.rdb"))


def test_a_plain_dump_has_to_have_its_end(tmp_path):
    """psql takes the end of a truncated file for the end of a table, and commits."""
    dump = tmp_path / "dump"
    rows = "COPY public.users (id) FROM stdin;\n" + "1\n" * 5000
    end = "\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    for whole in (rows + end, rows + end + f"\\unrestrict {'x' * 63}\n\n", end):
        dump.write_text(whole)
        refuse_unusable(Source(dump=dump))
    for part in (rows, rows[:-100], rows + end[:30]):
        dump.write_text(part)
        assert "no whole plain one" in refusal(Source(dump=dump))


class Server:
    """PostgreSQL as far as an import speaks to it: databases by name, and what is in each."""

    def __init__(self, live):
        self.databases = {"marketplace": live, f"{LOADING}killed": USED}
        self.granted = []

    def beginning(self, prefix):
        return [name for name in self.databases if name.startswith(prefix)]

    def drop_point(self, name):
        self.databases.pop(name, None)

    def ask(self, _database, query, **_):
        if query.startswith("CREATE DATABASE"):
            self.databases[query.split('"')[1]] = EMPTY
        return ""

    def script(self, *_):
        return ""

    def size(self, _name):
        return 1

    def grant_alike(self, database, other):
        self.granted.append((database, other))

    def change_places(self, database, other, kept):
        self.databases[kept] = self.databases.pop(database)
        self.databases[database] = self.databases.pop(other)


def world_of(tmp_path, server, docker, told, free=1 << 40):
    """What an import touches."""
    clock = SimpleNamespace(now=lambda: datetime(2026, 11, 26, tzinfo=UTC), monotonic=lambda: 0.0)

    class Lock:
        def held(self, *_):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    return SimpleNamespace(
        paths=Paths(tmp_path),
        catalogue=SimpleNamespace(disk=DISK),
        database=server,
        docker=docker,
        clock=clock,
        lock=Lock(),
        host=SimpleNamespace(free=lambda _: (free, free)),
        spool=SimpleNamespace(try_emit=lambda *words: told.append(words)),
    )


QUIET = SimpleNamespace(begin=lambda *_: None, end=lambda *_: None)


def move_in(tmp_path, monkeypatch, live, dump, replace=False, free=1 << 40):
    """An import of ``dump`` (None: it can't be loaded), its answer, and the server afterwards."""
    server = Server(live)
    told = []
    world = world_of(tmp_path, server, SimpleNamespace(remove=lambda *_: None), told, free)
    (tmp_path / "dump").write_bytes(b"PGDMP...")

    def loaded(_file, _command):
        if dump is None:
            raise BackupError("no such role")
        server.databases[f"{LOADING}20261126t000000"] = dump

    monkeypatch.setattr("marketplace_import.load_file", loaded)
    monkeypatch.setattr("marketplace_import.census", lambda _, name: server.databases[name])
    source = Source(dump=tmp_path / "dump", replace=replace)
    return imported(world, SETTINGS, source, QUIET, "alice"), server, told


THEIRS = Census({"public.users": 7}, ("0001",))


def test_an_empty_database_gives_way(tmp_path, monkeypatch):
    answer, server, told = move_in(tmp_path, monkeypatch, EMPTY, THEIRS)
    assert (answer["outcome"], answer["rows"], answer["aside"]) == ("imported", THEIRS.rows, [])
    assert server.databases == {"marketplace": THEIRS}
    assert server.granted == [("marketplace", f"{LOADING}20261126t000000")]
    assert told == [("data.imported", "warning", "alice has imported 7 rows")]


def test_rows_that_are_here_stay_unless_they_may_go(tmp_path, monkeypatch):
    answer, server, told = move_in(tmp_path, monkeypatch, USED, THEIRS)
    assert answer["outcome"] == "failed"
    assert "public.users (3)" in answer["reason"]
    assert server.databases["marketplace"] == USED
    assert told == []
    answer, server, _ = move_in(tmp_path, monkeypatch, USED, THEIRS, replace=True)
    assert answer["aside"] == [f"{ASIDE}20261126t000000"]
    assert server.databases == {"marketplace": THEIRS, f"{ASIDE}20261126t000000": USED}


@pytest.mark.parametrize(
    ("dump", "words"), [(None, "no such role"), (Census({}, ()), "there is no table in it")]
)
def test_what_fails_leaves_the_live_database_and_nothing_else(tmp_path, monkeypatch, dump, words):
    answer, server, _ = move_in(tmp_path, monkeypatch, EMPTY, dump)
    assert words in answer["reason"]
    assert server.databases == {"marketplace": EMPTY}


def test_a_schema_without_a_revision_is_pointed_out(tmp_path, monkeypatch):
    answer, _, _ = move_in(tmp_path, monkeypatch, EMPTY, Census({"public.users": 7}, ()))
    assert answer["outcome"] == "imported"
    assert "alembic stamp" in answer["notes"][0]


def test_it_waits_for_what_is_half_done(tmp_path, monkeypatch):
    paths = Paths(tmp_path)
    Journal(paths.journal).write({"run": {"release": "20261126T000000Z"}, "step": "migrate"})
    with pytest.raises(
        BackupError, match=r"20261126T000000Z was interrupted at migrate: first deploy.resume"
    ):
        move_in(tmp_path, monkeypatch, EMPTY, THEIRS)
    Journal(paths.journal).clear()
    time = "2026-11-24T08:15:00+00:00"
    write_atomic(paths.restore, to_json({"id": "x", "by": "bob", "started": "today", "time": time}))
    with pytest.raises(
        BackupError, match=rf"backup.restore to=live time='{re.escape(time)}' takes it up again"
    ):
        move_in(tmp_path, monkeypatch, EMPTY, THEIRS)
    paths.restore.unlink()
    assert move_in(tmp_path, monkeypatch, EMPTY, THEIRS)[0]["outcome"] == "imported"


def test_there_has_to_be_room(tmp_path, monkeypatch):
    answer, _, _ = move_in(tmp_path, monkeypatch, EMPTY, THEIRS, free=1)
    assert "postgres:disk" in answer["reason"]


def test_a_dump_that_nobody_reads_any_more_ends(tmp_path):
    read_on = tmp_path / "all-of-it-was-read"
    dump = ["sh", "-c", 'head -c 20000000 /dev/zero && touch "$0"', str(read_on)]
    with pytest.raises(BackupError, match="no such role"):
        pour(dump, ["sh", "-c", "head -c 9 > /dev/null; echo no such role >&2; exit 1"])
    assert not read_on.exists()
    pour(["printf", "rows"], ["sh", "-c", 'test "$(cat)" = rows'])


def test_nobody_waits_for_a_dump_whose_restoring_takes_too_long(monkeypatch):
    monkeypatch.setattr("marketplace_import_pour.LONGEST_SECONDS", 0.1)
    begun = monotonic()
    with pytest.raises(TimeoutExpired):
        pour(["sleep", "20"], ["sleep", "20"])
    assert monotonic() - begun < 10


def test_what_came_with_a_data_directory_does_not_configure_its_server(tmp_path, monkeypatch, data):
    """Arguments alone win over postgresql.auto.conf."""
    asked = []

    def run_once(arguments, **_):
        asked.extend(arguments)
        return SimpleNamespace(returncode=1, stderr="no room for it")

    docker = SimpleNamespace(remove=lambda *_: None, run_once=run_once)
    monkeypatch.setattr("marketplace_import.census", lambda *_: EMPTY)
    settings = SETTINGS | {
        "postgres": SETTINGS["postgres"] | {"reference": "postgres@sha256:0"},
        "backup": {"limits": {"memory": 256 << 20}},
    }
    world = world_of(tmp_path, Server(EMPTY), docker, [])
    answer = imported(world, settings, Source(data=data), QUIET, "alice")
    assert "no room for it" in answer["reason"]
    given = asked[asked.index("postgres@sha256:0") :]
    own = dict(given[at + 1].split("=", 1) for at, word in enumerate(given) if word == "-c")
    assert own["shared_buffers"] == "64MB"
    assert (own["listen_addresses"], own["port"], own["ssl"]) == ("", "5432", "off")
    assert (own["shared_preload_libraries"], own["archive_mode"]) == ("", "off")


class Redis:
    """Docker, as far as a container is concerned that reads its snapshot when it starts."""

    def __init__(self, file):
        self.file, self.runs, self.stops = file, True, 0

    def stop(self, *_, **__):
        self.runs = False
        self.stops += 1

    def start(self, *_):
        self.runs = not (self.file.exists() and self.file.read_text() == "REDIS bad")

    def is_well(self, _):
        return self.runs

    def remove(self, *_):
        pass


class Cache:
    """What a snapshot is put in place in: Redis's file (``had``), and a good snapshot of the night before."""

    def __init__(self, root, had):
        self.file = root / "srv/data/redis/data/dump.rdb"
        self.file.parent.mkdir(parents=True)
        if had:
            self.file.write_text(had)
        self.redis, self.told = Redis(self.file), []
        self.settings = SETTINGS | {"redis": {"user": f"{os.getuid()}:{os.getgid()}", "stop_grace": 1}}
        self.world = world_of(root, Server(EMPTY), self.redis, self.told)
        self.world.clock.wait_until = lambda well, **_: well()

    def restore(self, given):
        at = datetime(2026, 11, 25, tzinfo=UTC).isoformat()
        backup = Backup("redis", "x", at, at, 1, {"redis/x.zst": "0"})
        self.world.catalogue = SimpleNamespace(disk=DISK, of=lambda _: [backup], changed=lambda _: [])
        self.world.host.run = lambda command, *_: Path(command[-2]).write_text(given)
        return restore_cache(self.world, self.settings, None, QUIET, "alice")

    def move_in(self, given):
        moving = self.world.paths.root / "moving.rdb"
        moving.write_text(given)
        return imported(self.world, self.settings, Source(cache=moving), QUIET, "alice")


def checked(world, settings, file):
    """As Redis's own program does."""
    assert world.docker.runs, "it is away for as long as that takes"
    if file.read_text() == "REDIS torn":
        raise BackupError("the snapshot of Redis is not whole")


@pytest.mark.parametrize("way", [Cache.restore, Cache.move_in])
@pytest.mark.parametrize("had", ["REDIS old", None])
@pytest.mark.parametrize("given", ["REDIS new", "REDIS bad", "REDIS torn"])
def test_a_snapshot_that_redis_does_not_come_up_on_gives_way_again(tmp_path, monkeypatch, given, had, way):
    monkeypatch.setattr("marketplace_restore_cache.check_snapshot", checked)
    cache = Cache(tmp_path, had)
    answer = way(cache, given)
    aside = [Path(path) for path in ([answer["aside"]] if way is Cache.restore else answer["aside"]) if path]
    now = given if given == "REDIS new" else had
    assert (answer["outcome"] == "failed") is (given != "REDIS new")
    if given == "REDIS bad":
        assert "does not come up" in answer["reason"]
        assert "runs again with what it had before" in answer["reason"]
    assert [path.read_text() for path in aside] == ([had] if had and given == "REDIS new" else [])
    assert (cache.file.read_text() if cache.file.exists() else None) == now
    assert cache.redis.runs
    # A snapshot that can't be read is known before anybody notices.
    assert bool(cache.redis.stops) is (given != "REDIS torn")
    assert sorted(cache.file.parent.iterdir()) == sorted(
        path for path in (cache.file, *aside) if path.exists()
    )


@pytest.mark.parametrize("given", ["REDIS bad", "REDIS torn"])
def test_an_import_that_fails_at_the_cache_says_what_is_left(tmp_path, monkeypatch, given):
    monkeypatch.setattr("marketplace_restore_cache.check_snapshot", checked)
    cache = Cache(tmp_path, "REDIS old")
    server = cache.world.database
    monkeypatch.setattr("marketplace_import.census", lambda _, name: server.databases[name])
    loading = f"{LOADING}20261126t000000"
    monkeypatch.setattr("marketplace_import.load_file", lambda *_: server.databases.update({loading: THEIRS}))
    (tmp_path / "dump").write_bytes(b"PGDMP...")
    (tmp_path / "moving.rdb").write_text(given)
    source = Source(dump=tmp_path / "dump", cache=tmp_path / "moving.rdb")
    answer = imported(cache.world, cache.settings, source, QUIET, "alice")
    assert answer["outcome"] == "failed"
    if given == "REDIS torn":
        assert (server.databases, cache.told, "next" in answer) == ({"marketplace": EMPTY}, [], False)
        return
    assert server.databases["marketplace"] == THEIRS
    assert cache.told == [("data.imported", "warning", "alice has imported 7 rows")]
    left = f"the database is imported; what is left: backup.import cache={tmp_path}/moving.rdb"
    assert answer["next"] == [left]


def test_what_was_written_meanwhile_is_not_dropped(tmp_path, monkeypatch):
    server = Server(EMPTY)
    world = world_of(tmp_path, server, SimpleNamespace(remove=lambda *_: None), [])
    monkeypatch.setattr("marketplace_import.census", lambda _, name: server.databases[name])

    def loaded(*_):
        server.databases |= {f"{LOADING}20261126t000000": THEIRS, "marketplace": USED}

    monkeypatch.setattr("marketplace_import.load_file", loaded)
    (tmp_path / "dump").write_bytes(b"PGDMP...")
    answer = imported(world, SETTINGS, Source(dump=tmp_path / "dump"), QUIET, "alice")
    assert answer["aside"] == [f"{ASIDE}20261126t000000"]
    assert server.databases == {"marketplace": THEIRS, answer["aside"][0]: USED}


def test_a_webhook_of_another_host_is_left_alone_and_nobody_is_told_of_it():
    settings = {
        "edge": {"domains": ["bot.team.dev"], "webhook_path": "/hook"},
        "telegram": {"register": False},
    }
    module = load("webhook", __opts__={"test": False}, __pillar__={"settings": settings})
    ret = module.registered("Ensure")
    assert (ret["result"], ret["changes"]) == (True, {})
    assert "Another host serves the bot" in ret["comment"]
    assert list(webhook(ELSEWHERE, 0.0, closed=False)) == []
