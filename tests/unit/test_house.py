"""The archive of everything that is in no database: what is in it, and when it is another."""

import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from marketplace_backups import Catalogue
from marketplace_house import fingerprint, take_house
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
    assert file.stat().st_mode & 0o777 == 0o600
    listed = subprocess.run(
        ["tar", "--zstd", "-tf", str(file)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "etc/marketplace/secrets/backup_key" in listed
    assert "etc/letsencrypt/live/cert.pem" in listed
    assert "srv/deploy/pillar/local/init.sls" in listed
    assert not [entry for entry in listed if "volumes" in entry or "delivered" in entry]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert world(root).catalogue.changed(backup) == []


def test_it_is_another_as_soon_as_any_of_it_changes(root):
    before = fingerprint(root)
    assert fingerprint(root) == before
    (root / "var/lib/marketplace/volumes/postgres.img").write_text("other")
    assert fingerprint(root) == before
    (root / "var/lib/marketplace/ledger/20261125T081500Z.json").write_text("{}")
    assert fingerprint(root) != before
