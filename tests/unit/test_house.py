"""The archive of everything that is in no database: what is in it, and when it is another."""

import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from marketplace_backup_world import BackupError
from marketplace_backups import Catalogue
from marketplace_house import fingerprint, open_house, read_house, take_house
from marketplace_paths import Paths

from tests.support.droplet.host import ensure_tools


@pytest.fixture(scope="module", autouse=True)
def tools():
    """What packs it."""
    ensure_tools({"zstd": "zstd", "tar": "tar"})


@pytest.fixture
def root(tmp_path):
    for name, text in (
        ("etc/marketplace/settings.json", "{}"),
        ("etc/marketplace/secrets/backup_key", "key"),
        ("etc/marketplace/delivered/backend/telegram_token", "made anew"),
        ("var/lib/marketplace/ledger/20261124T081500Z.json", "{}"),
        ("var/lib/marketplace/slo/minutes-2026-11-24.jsonl", "{}\n"),
        ("var/lib/marketplace/volumes/postgres.img", "gigabytes"),
        ("srv/deploy/pillar/local/init.sls", "secrets: {}"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "etc/letsencrypt/live").mkdir(parents=True)
    (tmp_path / "etc/letsencrypt/live/cert.pem").symlink_to("../archive/cert1.pem")
    Paths(tmp_path).backups.mkdir(parents=True)
    return tmp_path


def world(root):
    paths = Paths(root)
    clock = SimpleNamespace(now=lambda: datetime(2026, 11, 25, 12, tzinfo=UTC))
    return SimpleNamespace(paths=paths, clock=clock, catalogue=Catalogue(paths.backups))


def test_what_a_droplet_is_rebuilt_from_is_in_it_and_nothing_else(root):
    backup = take_house(world(root))
    (name,) = backup.files
    file = Paths(root).backups / name
    # It is not encrypted here: nobody but root may come near it.
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    listed = subprocess.run(
        ["tar", "--zstd", "-tf", str(file)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "etc/marketplace/secrets/backup_key" in listed
    assert "etc/letsencrypt/live/cert.pem" in listed
    assert "var/lib/marketplace/slo/minutes-2026-11-24.jsonl" in listed
    assert "srv/deploy/pillar/local/init.sls" in listed
    assert not [entry for entry in listed if "volumes" in entry or "delivered" in entry]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert world(root).catalogue.changed(backup) == []


def test_it_is_another_as_soon_as_any_of_it_changes(root):
    before = fingerprint(root)
    assert fingerprint(root) == before
    (root / "var/lib/marketplace/volumes/postgres.img").write_text("other")
    assert fingerprint(root) == before
    # A line more in the record of every minute is no reason for another archive; it is in the next one.
    with (root / "var/lib/marketplace/slo/minutes-2026-11-24.jsonl").open("a") as file:
        file.write("{}\n")
    assert fingerprint(root) == before
    (root / "var/lib/marketplace/ledger/20261125T081500Z.json").write_text("{}")
    assert fingerprint(root) != before


@pytest.fixture
def archive(root):
    (name,) = take_house(world(root)).files
    return Paths(root).backups / name


def test_it_is_unpacked_as_it_was(archive, root, tmp_path_factory):
    there = tmp_path_factory.mktemp("there")
    (root / "etc/marketplace/secrets/backup_key").chmod(0o600)
    names = open_house(take_again(root), there)
    assert "var/lib/marketplace/ledger/20261124T081500Z.json" in names
    key = there / "etc/marketplace/secrets/backup_key"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("key", 0o600)
    assert (there / "etc/letsencrypt/live/cert.pem").readlink() == Path("../archive/cert1.pem")
    assert read_house(archive, "etc/marketplace/settings.json") == "{}"
    assert read_house(archive, "etc/marketplace/environment") == ""
    # Again over what is there, as after an interruption.
    assert open_house(archive, there) == names


def take_again(root):
    for file in (Paths(root).backups / "house").iterdir():
        file.unlink()
    (name,) = take_house(world(root)).files
    return Paths(root).backups / name


def test_what_somebody_has_put_there_already_stays(archive, tmp_path):
    mine = tmp_path / "srv/deploy/pillar/local/init.sls"
    mine.write_text("mine")
    (tmp_path / "etc/marketplace/settings.json").write_text("changed")
    open_house(archive, tmp_path, ("srv/deploy/pillar/local",))
    assert mine.read_text() == "mine"
    assert (tmp_path / "etc/marketplace/settings.json").read_text() == "{}"


@pytest.mark.parametrize(
    "name", ["etc/passwd", "etc/marketplace/../passwd", "etc/marketplace/secretsquirrel"]
)
def test_an_archive_that_reaches_further_is_refused(tmp_path, name):
    file = tmp_path / "bad.tar"
    with tarfile.open(file, "w") as made:
        made.addfile(tarfile.TarInfo(name))
    subprocess.run(["zstd", "--quiet", str(file)], check=True)
    with pytest.raises(BackupError, match="no part of such an archive"):
        open_house(file.with_suffix(".tar.zst"), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_an_archive_that_is_cut_off_is_said(archive, tmp_path_factory):
    with archive.open("r+b") as stream:
        stream.truncate(archive.stat().st_size // 2)
    with pytest.raises(BackupError, match="can't be unpacked"):
        open_house(archive, tmp_path_factory.mktemp("there"))
