"""Bringing backups back: from a copy in memory, and from a directory by rclone itself."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import marketplace_fetch
import marketplace_ship
import pytest
from marketplace_backup_create import _Run
from marketplace_backup_world import BackupError
from marketplace_fetch import fetch
from marketplace_progress import Progress
from marketplace_secrets import Store
from marketplace_ship import ship
from marketplace_ship_memory import Memory
from marketplace_vault import Vault, VaultError

from tests.support.droplet.host import ensure_tools
from tests.support.shelf import NOW, Shelf, base, droplet, keep, put_away, streamed

SETTINGS = {"backup": {"storage": {"target": "s3:bucket/x"}, "keep_days": 7}}


@pytest.fixture(scope="module", autouse=True)
def tools():
    """What packs, and what copies."""
    ensure_tools({"zstd": "zstd", "rclone": "rclone"})


@pytest.fixture(autouse=True)
def no_owner(monkeypatch):
    """Nothing is given to Barman's user, whom not every host has."""
    monkeypatch.setattr(marketplace_fetch.shutil, "chown", lambda *_: None)


def host(root):
    """A droplet with a Barman that notes what it is asked to list."""
    world = droplet(root)
    barman = world.barman
    barman.listed = []
    barman.end = lambda: None
    barman.bases = lambda: [
        SimpleNamespace(id=file.name.split("-")[0]) for file in sorted((barman.directory / "meta").glob("*"))
    ]
    barman.list_log = lambda: barman.listed.append(
        sorted(path.name for path in (barman.directory / "wals").rglob("0*") if path.is_file())
    )
    return world


@pytest.fixture
def full(tmp_path):
    """A droplet with backups."""
    world = host(tmp_path / "full")
    keep(world, "1")
    base(world, "1", 3)
    return world


@pytest.fixture
def shelf(full):
    made = Shelf()
    ship(full, made, "x")
    return made


def test_log_that_was_fetched_is_listed_with_what_was_put_away_since(shelf, tmp_path):
    # PostgreSQL has outlived its backups, and Barman has begun a list of its own.
    world, shelf.files["barman/postgres/wals/postgres-xlog.db"] = host(tmp_path / "new"), b"of another moment"
    own = world.barman.directory / "wals/postgres-xlog.db"
    put_away(world, 9).parent.mkdir(parents=True)
    put_away(world, 9).write_text("x")
    own.write_text("the new one alone")
    fetch(world, shelf, SETTINGS, "x")
    assert world.barman.listed == [[put_away(world, 3).name, put_away(world, 9).name]]
    assert own.read_text() == "the new one alone"
    assert streamed(world, 4).read_text() == "x"
    assert not (world.paths.backups / ".arriving").exists()


def test_barmans_list_is_not_shipped(full, shelf):
    (full.barman.directory / "wals/postgres-xlog.db").write_text("x")
    assert ship(full, shelf, "x")["files"] == 0


def test_log_of_a_database_that_is_elsewhere_now_is_not_listed(shelf, tmp_path):
    world = host(tmp_path / "new")
    shelf.files["barman/postgres/wals/postgres-xlog.db"] = b"of another moment"
    fetch(world, shelf, SETTINGS | {"postgres": {"managed": {"host": "db.test"}}}, "x")
    assert put_away(world, 3).exists()
    assert world.barman.listed == []
    assert not (world.barman.directory / "wals/postgres-xlog.db").exists()


def test_of_a_streamed_segment_the_whole_one_is_taken(full, tmp_path):
    shelf, world = Shelf(), host(tmp_path / "new")
    whole = streamed(full, 4).with_suffix("")
    whole.write_text("whole")
    ship(full, shelf, "x")
    # A round later than the one that has brought the whole one, what was streamed before is gone.
    shelf.files |= {f"shipping/streaming/{whole.name}.partial.zst": b"broken"}
    fetch(world, shelf, SETTINGS, "x")
    assert [path.name for path in (world.barman.directory / "streaming").iterdir()] == [whole.name]
    assert (world.barman.directory / "streaming" / whole.name).read_text() == "whole"


def test_a_round_of_shipping_meanwhile_takes_nothing_away(shelf, tmp_path):
    world = host(tmp_path / "new")
    move = marketplace_fetch._move

    def beside(names, place, root):
        move(names, place, root)
        marketplace_ship._streamed(world)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marketplace_fetch, "_move", beside)
        fetch(world, shelf, SETTINGS, "x")
    assert streamed(world, 4).read_text() == "x"


def test_what_has_come_half_is_not_thrown_away(shelf, tmp_path, monkeypatch):
    world = host(tmp_path / "new")
    run = _Run(world, SETTINGS, Progress())
    rename = Path.rename

    def cut_off(path, target):
        if "records" in path.parts:
            raise OSError("cut off")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", cut_off)
        with pytest.raises(OSError, match="cut off"):
            fetch(world, shelf, SETTINGS, "x")
    assert [found.id for found in world.barman.bases()] == ["1"]
    assert world.catalogue.of("postgres") == []
    with pytest.raises(BackupError, match=r"backup\.fetch goes on"):
        run.prune()
    assert [found.id for found in world.barman.bases()] == ["1"]
    fetch(world, shelf, SETTINGS, "x")
    assert "let go of" in run.prune()
    assert [found.id for found in world.catalogue.of("postgres")] == ["1"]


def test_what_is_dropped_there_meanwhile_is_no_failure(shelf, tmp_path):
    world, get = host(tmp_path / "new"), shelf.get

    def beside(place, names):
        get(place, names)
        for name in names:
            if name.startswith("shipping/"):
                (place / name).unlink()

    shelf.get = beside
    with pytest.raises(VaultError, match="1 files were not brought, shipping/"):
        fetch(world, shelf, SETTINGS, "x")

    def dropped(place, names):
        beside(place, names)
        shelf.drop([name for name in names if name.startswith("shipping/")])

    shelf.get = dropped
    assert fetch(world, shelf, SETTINGS, "x")["backups"] == 3


def test_a_directory_is_a_copy_like_any_other(full, tmp_path):
    store = Store(tmp_path / "secrets")
    store.write("backup_key", "a-key-of-the-copies-of-the-backups")
    place = tmp_path / "mounted/copy"
    vault = Vault({"target": str(place), "endpoint": "", "region": "", "access_key": ""}, store)
    assert ship(full, vault, "x") == {"outcome": "shipped", "reason": "", "files": 9, "dropped": 0}
    assert all(Memory.read(full).has(backup) for backup in full.catalogue.all())
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) == 10
    assert all(path.read_bytes().startswith(b"RCLONE\x00\x00") for path in files if path.stat().st_size)
    (old,) = full.catalogue.of("redis")
    full.catalogue.forget(old)
    (full.paths.backups / "redis/1.rdb.zst").unlink()
    assert ship(full, vault, "x")["dropped"] == 2
    assert not [path for path in place.rglob("*redis*") if path.is_file()]
    assert not list(place.rglob("*.rdb.zst*"))
    # What somebody has deleted there is missed a day later, and sent again.
    (deleted,) = place.rglob("base.tar.zst*")
    deleted.unlink()
    full.clock.now = lambda: NOW + timedelta(hours=25)
    assert ship(full, vault, "x") == {"outcome": "shipped", "reason": "", "files": 1, "dropped": 0}
    assert deleted.exists()
    # Another droplet has it all back, and is kept from writing there.
    new = host(tmp_path / "new")
    assert fetch(new, vault, SETTINGS, "x")["backups"] == 2
    for backup in full.catalogue.all():
        assert {name: (new.paths.backups / name).read_bytes() for name in backup.files} == {
            name: (full.paths.backups / name).read_bytes() for name in backup.files
        }
    assert "another droplet" in ship(new, vault, "x")["reason"]
    # What somebody has changed there is not taken for what it was.
    (changed,) = place.rglob("base.tar.zst*")
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    shutil.rmtree(new.paths.backups)
    new.barman.directory.mkdir(parents=True)
    with pytest.raises(VaultError, match="mounted/copy"):
        fetch(new, vault, SETTINGS, "x")


def test_an_archive_that_is_just_being_made_is_no_stray(full):
    young, old = (
        full.paths.backups / "house" / name for name in (".20261125T115900", "20261124T115900.tar.zst")
    )
    old.parent.mkdir()
    for file, age in ((young, timedelta(minutes=1)), (old, timedelta(days=1))):
        file.write_text("x")
        changed = (NOW - age).timestamp()
        os.utime(file, (changed, changed))
    assert _Run(full, SETTINGS, Progress()).prune().endswith("1 that never got done")
    assert (young.exists(), old.exists()) == (True, False)
