"""What is shipped, what is given up at the copy, and when somebody has to know that it is late."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from marketplace_backups import Backup
from marketplace_key import is_kept, show
from marketplace_paths import Paths
from marketplace_secrets import Store
from marketplace_ship_given_up import given_up, missing
from marketplace_ship_memory import Memory, late
from marketplace_vault import LONGEST_SECONDS, SLOWEST, Vault, VaultError
from marketplace_wal import Segment

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TARGET = "s3:bucket/x"


def backup(kind, identity, begin=None):
    facts = {"begin": Segment(1, begin).name} if begin is not None else {}
    return Backup(kind, identity, NOW.isoformat(), NOW.isoformat(), 1, {}, facts)


BACKUPS = [
    backup("postgres", "20261124T023000", 20),
    backup("postgres", "20261125T023000", 40),
    backup("redis", "20261124T023000"),
    backup("house", "20261124T023000"),
]
OLD = "20261117T023000"
BASE = f"barman/postgres/base/{OLD}/data/base.tar.zst"
META = f"barman/postgres/meta/{OLD}-backup.info"
LET_GO = [
    Backup("postgres", OLD, NOW.isoformat(), NOW.isoformat(), 1, {BASE: "", META: ""}),
    Backup("house", OLD, NOW.isoformat(), NOW.isoformat(), 1, {f"house/{OLD}.tar.zst": ""}),
]


def wal(number):
    return f"barman/postgres/wals/0000000100000000/{Segment(1, number).name}"


def streamed(number, partial=".partial"):
    return f"shipping/streaming/{Segment(1, number).name}{partial}.zst"


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        (wal(19), True),
        (wal(20), False),
        (wal(90), False),
        (BASE, True),
        (META, True),
        (f"records/postgres-{OLD}.json", True),
        (f"house/{OLD}.tar.zst", True),
        # Older than all there is, and merely missing.
        ("barman/postgres/meta/20261110T023000-backup.info", False),
        ("records/postgres-20261110T023000.json", False),
        (f"redis/{OLD}.rdb.zst", False),
        ("house/20261110T023000.tar.zst", False),
        ("barman/postgres/identity.json", False),
        (f"drills/{OLD}.json", False),
        (streamed(19), True),
        (streamed(20), False),
        ("something/else", False),
    ],
)
def test_only_what_was_let_go_of_goes(name, goes):
    assert given_up([name], set(), BACKUPS, LET_GO) == ([name] if goes else [])
    assert given_up([name], {name}, BACKUPS, LET_GO) == []
    # Where this host has lost its backups, and whatever it has taken since.
    assert given_up([name, BASE], set(), [], []) == []
    later = [backup("postgres", "20261126T023000", 80), backup("house", "20261126T023000")]
    assert given_up([name, BASE], set(), later, []) == []


def test_records_go_first():
    record = f"records/postgres-{OLD}.json"
    assert given_up([META, record, BASE], set(), BACKUPS, LET_GO) == [record, BASE, META]


def test_log_stays_while_a_base_backup_at_the_copy_may_need_it():
    unknown = "barman/postgres/base/20261110T023000/data/base.tar.zst"
    assert given_up([wal(19), unknown], set(), BACKUPS, LET_GO) == []
    unsaid = [*BACKUPS, backup("postgres", "20261126T023000")]
    assert given_up([wal(19)], set(), unsaid, LET_GO) == []
    # Another database's, which is at a provider now.
    assert given_up([wal(19)], set(), [backup("dump", "20261126T023000")], []) == []


def test_a_streamed_segment_goes_once_the_whole_one_is_there():
    for there in (wal(30), streamed(30, "")):
        assert given_up([streamed(30), there], {there}, BACKUPS, []) == [streamed(30)]
        assert given_up([streamed(31), there], {there}, BACKUPS, []) == []
    assert given_up([streamed(30, ""), wal(30)], {wal(30)}, BACKUPS, []) == [streamed(30, "")]
    assert given_up([streamed(30, "")], set(), BACKUPS, []) == []


def test_backups_that_are_at_the_copy_alone_are_named():
    shipped = [
        f"records/postgres-{OLD}.json",
        "records/redis-20261124T023000.json",
        "records/redis-1.json",
        BASE,
    ]
    assert missing(shipped, BACKUPS, LET_GO) == ["records/redis-1.json"]


@pytest.mark.parametrize(
    ("last", "failing", "says"),
    [
        (NOW - timedelta(minutes=1), None, ""),
        (NOW - timedelta(minutes=1), {"since": "x", "error": "down"}, ""),
        (NOW - timedelta(minutes=9), {"since": "x", "error": "it is down"}, "it is down"),
        (NOW - timedelta(minutes=9), None, "status cron"),
        (
            None,
            {"since": (NOW - timedelta(minutes=9)).isoformat(), "error": "denied"},
            "nothing was ever copied",
        ),
        (None, {"since": NOW.isoformat(), "error": "denied"}, ""),
        (None, None, ""),
    ],
)
def test_a_copy_that_is_behind_is_said(last, failing, says):
    words = late(Memory({}, last.isoformat() if last else "", failing), TARGET, NOW)
    assert bool(words) == bool(says)
    assert says in words
    assert late(Memory({}, "", failing), "", NOW) == ""


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "secrets")
    made.write("backup_key", "a-key-of-the-copies-of-the-backups")
    return made


def vault(target, store):
    return Vault({"target": str(target), "endpoint": "", "region": "", "access_key": ""}, store)


def test_a_key_counts_as_kept_once_it_was_shown_and_until_it_changes(tmp_path):
    paths = Paths(tmp_path)
    Store(paths.secrets).write("backup_key", "the-first-key-of-the-backups")
    assert not is_kept(paths)
    terminal = tmp_path / "tty"
    terminal.touch()
    show(paths, str(terminal))
    assert "the-first-key-of-the-backups" in terminal.read_text()
    assert is_kept(paths)
    assert "the-first-key" not in "".join(
        file.read_text() for file in paths.state.iterdir() if file.is_file()
    )
    Store(paths.secrets).write("backup_key", "another-key-of-the-backups")
    assert not is_kept(paths)


def test_a_key_is_not_shown_without_a_terminal(tmp_path):
    Store(Paths(tmp_path).secrets).write("backup_key", "the-first-key-of-the-backups")
    with pytest.raises(OSError, match="nowhere"):
        show(Paths(tmp_path), str(tmp_path / "nowhere/tty"))
    assert not is_kept(Paths(tmp_path))


class Told:
    """rclone, as it was called: only its arguments, environment and input."""

    def __init__(self, monkeypatch, returncode=0, stderr=""):
        self.calls, self.timeouts = [], []

        def run(argv, *, env, input, timeout, **_):
            argv = argv[argv.index("rclone") + 1 :]
            self.calls.append((argv, env, input))
            self.timeouts.append(timeout)
            if argv[0] == "obscure":
                return subprocess.CompletedProcess(argv, 0, "obscured\n", "")
            return subprocess.CompletedProcess(argv, returncode, "a\nb\n", stderr)

        monkeypatch.setattr(subprocess, "run", run)


def test_no_secret_stands_on_a_command_line(monkeypatch, store):
    told = Told(monkeypatch)
    store.write("backup_storage_secret", "the-other-half")
    storage = {"target": "s3:bucket/x", "endpoint": "https://s3.test", "region": "", "access_key": "AK"}
    Vault(storage, store).put(store.directory, ["one", "two"])
    words = json.dumps([argv for argv, _, _ in told.calls])
    assert "the-other-half" not in words
    assert "a-key-of" not in words
    argv, environment, given = told.calls[-1]
    assert given == "one\ntwo\n"
    assert environment["RCLONE_CONFIG_VAULT_REMOTE"] == "STORAGE:bucket/x"
    assert environment["RCLONE_CONFIG_STORAGE_SECRET_ACCESS_KEY"] == "the-other-half"
    assert argv[0] == "copy"


def test_what_rclone_says_last_is_said(monkeypatch, store):
    Told(monkeypatch, 1, "2026/11/25 12:00:00 ERROR : x: Failed to copy: AccessDenied\n")
    with pytest.raises(VaultError, match=r"/copies: x: Failed to copy: AccessDenied|x: Failed"):
        vault("/copies", store).put(store.directory, ["one"])


def test_what_is_large_has_time_by_its_size(monkeypatch, store):
    told = Told(monkeypatch)
    for name, size in (("small", 1), ("large", 5 << 30)):
        (store.directory / name).touch()
        os.truncate(store.directory / name, size)
        vault("/copies", store).put(store.directory, [name, "gone"])
    _, small, _, large = told.timeouts
    assert small == pytest.approx(LONGEST_SECONDS, abs=1)
    assert large == LONGEST_SECONDS + (5 << 30) / SLOWEST > 10_000


def test_nothing_to_send_asks_nobody(monkeypatch, store):
    told = Told(monkeypatch)
    vault("/copies", store).put(store.directory, [])
    vault("/copies", store).drop([])
    assert told.calls == []
