"""A restore in the live database's place: taken up again wherever it was killed, or given up."""

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import marketplace_recovery
import marketplace_restore
import marketplace_restore_live
import pytest
from marketplace_backup_world import BackupError
from marketplace_backups import Catalogue
from marketplace_census import Census
from marketplace_durable import Disk
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_progress import Progress
from marketplace_recovery import Target
from marketplace_restore_aside import confirm
from marketplace_restore_begun import closed_for, unfinished
from marketplace_restore_live import restore_live, undo_live

from tests.unit.test_states import load

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MORNING = Target(time=NOW - timedelta(hours=4))
SETTINGS = {"postgres": {"user": "999:999", "stop_grace": 60, "database": "marketplace"}}


class Killed(BaseException):
    """The process is gone: nothing behind it runs."""


class World(SimpleNamespace):
    """A droplet that is a directory. Whatever lasts is counted, and the process may be killed just before it."""

    def __init__(self, root):
        paths = Paths(root)
        paths.state.mkdir(parents=True)
        self.left, self.broken = None, set()
        self.paths, self.running, self.receiving = paths, True, True
        self.catalogue = Catalogue(paths.backups, self.counted(Disk(), "write", "remove"))
        self.lock = Lock(paths.backup_lock, "backup")
        minutes = itertools.count()
        self.clock = SimpleNamespace(
            now=lambda: NOW + timedelta(minutes=next(minutes)),
            monotonic=lambda: 0.0,
            wait_until=lambda condition, **_: condition(),
        )
        self.docker = self.counted(self, "stop", "start")
        self.receiver = SimpleNamespace(
            stop=lambda: self._receive(False),
            start=lambda: self._receive(True),
            start_over=lambda: self._receive(True),
            unit="barman-receive-wal@postgres.service",
            look=lambda: SimpleNamespace(active=self.receiving),
        )
        self.database = SimpleNamespace(beginning=lambda prefix: [])
        self.data = root / "srv/data/postgres/data"
        (self.data / "17").mkdir(parents=True)
        (self.data / "17/rows").write_text("old")

    def counted(self, thing, *names):
        """``thing``, where some functions may be those before which the process is killed."""
        for name in names:
            setattr(thing, name, self.killable(getattr(thing, name)))
        return thing

    def killable(self, function):
        def call(*arguments, **options):
            if self.left is not None:
                if not self.left:
                    raise Killed
                self.left -= 1
            return function(*arguments, **options)

        return call

    def stop(self, name, grace):
        self.running = False

    def start(self, name):
        self.running = True

    def is_well(self, name):
        return self.running and self.rows() not in self.broken

    def remove(self, name):
        pass

    def _receive(self, on):
        self.receiving = on

    def rows(self, name="17"):
        file = self.data / name / "rows"
        return file.read_text() if file.exists() else None

    def killed_after(self, steps, function, *arguments):
        """Whether ``function`` was killed; it is after so many things that last."""
        self.left = steps
        try:
            function(self, SETTINGS, *arguments)
        except Killed:
            return True
        finally:
            self.left = None
        return False

    def restore(self, target=MORNING):
        return restore_live(self, SETTINGS, target, Progress(), "alice")

    def undo(self):
        return undo_live(self, SETTINGS, Progress(), "bob")

    def at_rest(self):
        """What is in the data directory's parent, when nothing is under way."""
        assert self.running
        assert self.receiving
        assert unfinished(self.paths) is None
        return {path.name: self.rows(path.name) for path in self.data.iterdir()}


OLD = {"17": "old"}
RESTORED = {"17": "restored", "17.before-20261125T120000": "old"}
RESTORE = (restore_live, MORNING, Progress(), "alice")
UNDO = (undo_live, Progress(), "bob")


@pytest.fixture(autouse=True)
def effects(monkeypatch):
    """What a server would do, and a file system that counts."""

    def make_ready(run):
        run.recovery.discard()
        run.recovery.directory.mkdir()
        (run.recovery.directory / "rows").write_text("restored")
        return True

    monkeypatch.setattr(marketplace_restore.Restore, "make_ready", make_ready)
    monkeypatch.setattr(marketplace_recovery.Recovery, "finish", lambda run: None)
    monkeypatch.setattr(marketplace_restore_live, "census", lambda *_: Census({"public.a": 1}, ("0001",)))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """``make()`` is a new droplet each time."""
    numbers = itertools.count()

    def new():
        world = World(tmp_path / str(next(numbers)))
        plain_rename, plain_unlink, plain_exchange = RENAME, UNLINK, EXCHANGE
        monkeypatch.setattr(Path, "rename", world.killable(plain_rename))
        monkeypatch.setattr(Path, "unlink", world.killable(plain_unlink))
        monkeypatch.setattr(marketplace_restore_live, "exchange", world.killable(plain_exchange))
        return world

    return new


RENAME, UNLINK, EXCHANGE = Path.rename, Path.unlink, marketplace_restore_live.exchange


def test_the_old_data_stay_aside_until_they_are_confirmed(make):
    world = make()
    assert world.restore()["outcome"] == "restored"
    assert world.at_rest() == RESTORED
    confirm(world, "alice")
    assert world.at_rest() == {"17": "restored"}


def test_wherever_it_is_killed_the_same_call_brings_it_to_its_end(make):
    for steps in itertools.count():
        world = make()
        killed = world.killed_after(steps, *RESTORE)
        assert world.restore()["outcome"] == "restored"
        found = world.at_rest()
        # Killed behind its very end, it is another one.
        assert found["17"] == "restored", steps
        assert "old" in found.values(), steps
        if not killed:
            break
    assert steps > 8


def test_wherever_it_is_killed_it_can_be_given_up_until_it_has_come_up(make):
    given_up = 0
    for steps in itertools.count():
        for again in itertools.count():
            world = make()
            killed = world.killed_after(steps, *RESTORE)
            begun = unfinished(world.paths)
            if not begun or begun.get("came_up") or (world.rows() == "restored" and world.running):
                with pytest.raises(BackupError, match="unfinished" if not begun else "has come up"):
                    world.undo()
                break
            cut_off = world.killed_after(again, *UNDO)
            if unfinished(world.paths):
                # Even now the way forward is open.
                assert world.undo()["outcome"] == "undone"
            assert world.at_rest() == OLD, (steps, again)
            given_up += 1
            if not cut_off:
                break
        if not killed:
            break
    assert given_up > 20


def test_a_restored_server_that_does_not_come_up_is_given_up(make):
    world = make()
    world.broken = {"restored"}
    answer = world.restore()
    assert (answer["outcome"], "does not come up" in answer["reason"]) == ("failed", True)
    assert "takes it up again; backup.restore undo=True gives it up" in answer["next"][0]
    # What it writes into its log would lead the backups away from the old data.
    assert (world.rows(), world.receiving) == ("restored", False)
    # Nor does the next try; nor can another time be asked for, or the edge be opened, meanwhile.
    assert world.restore()["outcome"] == "failed"
    for other in (Target(), Target(time=NOW - timedelta(hours=9))):
        with pytest.raises(BackupError, match=rf"{re.escape(other.words)} is another target .*alice.*T08:00"):
            world.restore(other)
    assert "backup.restore undo=True gives it up" in closed_for(world.paths, None)
    with pytest.raises(BackupError, match="not finished"):
        confirm(world, "alice")
    assert world.undo()["outcome"] == "undone"
    assert world.at_rest() == OLD
    assert closed_for(world.paths, None) == ""
    world.broken = set()
    assert world.restore(Target())["outcome"] == "restored"


def test_what_something_else_has_started_is_not_given_up_once_it_has_come_up(make):
    """A restore was killed behind the exchange, and the droplet booted: nobody has noted that it came up."""
    world = make()
    world.broken = {"restored"}
    world.restore()
    world.broken = set()
    assert "came_up" not in unfinished(world.paths)
    with pytest.raises(BackupError, match=r"has come up.*: backup.restore to=live time=.* ends it"):
        world.undo()
    assert world.restore()["outcome"] == "restored"
    assert world.at_rest() == RESTORED


def test_the_log_of_what_may_be_given_up_is_not_received(make, monkeypatch):
    world = make()
    world.broken = {"restored"}
    world.restore()
    unit = {"retcode": 0, "stdout": "", "stderr": ""}
    module = load("backup", __salt__={"cmd.run_all": lambda *_, **__: unit}, __opts__={"test": False})
    monkeypatch.setattr(module, "_world", lambda: world)
    world.receiver.is_replaced = lambda: True
    world.broken = set()
    found = module.received("postgres")
    assert (found["result"], world.receiving) == (False, False)
    assert "backup.restore undo=True gives it up" in found["comment"]
    world.restore()
    assert module.received("postgres")["result"] is True


def test_there_may_be_nothing_to_go_back_to(make):
    world = make()
    (world.data / "17/rows").unlink()
    (world.data / "17").rmdir()
    world.broken = {"restored"}
    world.restore()
    answer = world.undo()
    assert answer["outcome"] == "undone"
    assert "stays stopped" in answer["steps"][0]["detail"]
    assert (list(world.data.iterdir()), unfinished(world.paths)) == ([], None)


def test_old_data_that_are_no_good_are_said_to_be_so(make):
    world = make()
    world.broken = {"restored", "old"}
    world.restore()
    answer = world.undo()
    assert (answer["outcome"], "on the old data either" in answer["reason"]) == ("failed", True)
    # They were looked at; another restore may begin.
    world.broken = set()
    assert world.restore(Target())["outcome"] == "restored"


@pytest.mark.parametrize(
    ("doing", "closed"),
    [
        ("backup.restore to=live", True),
        ("backup.import", True),
        ("release of 1.1.0", False),
    ],
)
def test_the_edge_stays_closed_while_other_data_come_into_place(make, doing, closed):
    world = make()
    assert bool(closed_for(world.paths, {"doing": doing, "by": "alice"})) is closed


def test_the_edge_may_be_opened_once_what_is_live_stays(make):
    world = make()
    world.receiver.start_over = lambda: world._receive(False)
    answer = world.restore()
    assert (answer["outcome"], "undo=True" in answer["next"][0]) == ("failed", False)
    assert json.loads(world.paths.restore.read_text())["came_up"]
    assert closed_for(world.paths, None) == ""
    world.receiver.start_over = lambda: world._receive(True)
    assert "next" not in world.restore()
