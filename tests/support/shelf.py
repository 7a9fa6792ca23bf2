"""A copy of backups that is a dictionary, and a droplet that ships to it."""

from datetime import UTC, datetime
from types import SimpleNamespace

import marketplace_ship
import pytest
from marketplace_backups import Backup, Catalogue
from marketplace_host import Host
from marketplace_lock import Lock
from marketplace_paths import Paths
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


@pytest.fixture(name="here")
def droplet_with_a_backup(tmp_path, no_house):
    world = droplet(tmp_path / "here")
    keep(world, "1")
    return world


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
