"""backup.* by Salt's own loaders, on a droplet that is a directory."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from marketplace_backup_status import status
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, Catalogue, file_digest
from marketplace_durable import to_json, write_atomic
from marketplace_lock import Lock
from marketplace_secrets import Store
from marketplace_world import World

from tests.support.droplet.host import ensure_tools
from tests.support.salt_host import Host

PROVIDER = {"host": "cache.team.dev", "user": "app", "ca": "system"}


@pytest.mark.parametrize(
    ("service", "given"),
    [("postgres", "dump"), ("postgres", "data"), ("redis", "cache")],
)
def test_nothing_is_imported_into_a_service_at_a_provider(
    tmp_path: Path, options: dict[str, Any], service: str, given: str
) -> None:
    names = {"postgres": "PostgreSQL", "redis": "Redis"}
    managed = PROVIDER | ({"port": 25060, "database": "bot"} if service == "postgres" else {})
    password = {f"secrets.{service}_app_password": {"value": "AVNS_1"}}
    host = Host(tmp_path, options, {f"{service}.managed": managed} | password)
    host.apply_settings()
    answer, code = host.call("backup.import", **{given: "/root/moving"})
    assert (answer["outcome"], code) == ("refused", 1)
    assert answer["reason"].startswith(f"{names[service]} is at a provider (cache.team.dev:")
    # What is here is no matter of the provider's: the next thing that is asked for is a closed edge.
    other = "cache" if service == "postgres" else "dump"
    file = tmp_path / "moving"
    file.write_bytes(b"REDIS" if other == "cache" else b"PGDMP")
    answer, _ = host.call("backup.import", **{other: str(file)})
    assert answer["reason"].startswith("the edge is open")


def test_what_does_not_give_a_restore_up_is_refused_in_words(tmp_path: Path, options: dict[str, Any]) -> None:
    host = Host(tmp_path, options)
    host.apply_settings()
    asked: dict[str, dict[str, Any]] = {
        "expected undo=True": {"undo": "please"},
        "given by itself": {"undo": True, "time": "2026-11-25T12:00:00"},
        "about the restore that was begun": {"undo": True, "what": "cache", "to": "live"},
        "the edge is open": {"undo": True},
    }
    for says, arguments in asked.items():
        answer, code = host.call("backup.restore", **arguments)
        assert (answer["outcome"], code) == ("refused", 1)
        assert says in answer["reason"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt("SIGINT")


def test_for_what_is_only_refused_nothing_is_stopped(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, options)
    host.apply_settings()
    host.paths.maintenance_map.write_text("operator on\nrelease off\n")
    dump, typo = tmp_path / "bot.dump", tmp_path / "bto.dump"
    dump.write_bytes(b"PGDMP")
    live = {"to": "live"}
    early = live | {"time": "2020-01-01T00:00:00"}

    stopped: list[str] = []

    def stop(_: World, why: str) -> None:
        stopped.append(why)
        raise BackupError("the first of what is stopped")

    monkeypatch.setattr("marketplace_quiet.stop_jobs", stop)

    def refused(function: str, **arguments: Any) -> str:
        """Why."""
        answer, code = host.call(f"backup.{function}", **arguments)
        assert (answer["outcome"], code) == ("refused", 1)
        assert stopped == []
        return str(answer["reason"])

    assert f"{typo} is no file with anything in it" in refused("import", dump=str(typo))
    assert "nothing to give up" in refused("restore", undo=True)
    assert "no good base backup" in refused("restore", **early)
    assert "no good snapshot of the cache" in refused("restore", what="cache", **live)
    with Lock(host.paths.backup_lock, "backup").held("cron", "backup.create"):
        held = "backup.create by cron"
        assert held in refused("restore", **live)
        assert held in refused("restore", undo=True)
        assert held in refused("import", dump=str(dump))
    begun = {"id": "x", "by": "bob", "started": "today", "time": "2026-11-25T12:00:00+00:00"}
    write_atomic(host.paths.restore, to_json(begun))
    assert "is another target than was begun with" in refused("restore", **live)
    assert "a restore that bob began" in refused("import", dump=str(dump))
    write_atomic(host.paths.restore, to_json(begun | {"came_up": True}))
    assert "has come up" in refused("restore", undo=True)
    host.paths.restore.unlink()
    answer, _ = host.call("backup.import", dump=str(dump))
    assert stopped == ["data are being imported"]
    # What became of what was stopped is told, whatever ended it.
    assert answer["reason"].startswith(
        "the first of what is stopped. nothing is live; do: salt-call deploy.resume"
    )
    monkeypatch.setattr("marketplace_quiet.stop_jobs", interrupted)
    answer, _ = host.call("backup.import", dump=str(dump))
    assert answer["reason"].startswith("SIGINT: stopped; the same command begins anew")
    assert "alone. nothing is live; do: salt-call deploy.resume" in answer["reason"]


def test_what_is_shipped_to_a_directory_is_fetched_from_there(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    ensure_tools({"zstd": "zstd", "rclone": "rclone"})
    place = tmp_path / "mounted"
    # No log is received here, and none is to be listed.
    managed = {"postgres.managed": PROVIDER | {"port": 25060, "database": "bot"}}
    password = {"secrets.postgres_app_password": {"value": "AVNS_1"}}
    host = Host(tmp_path, options, {"backup.storage": {"target": str(place)}} | managed | password)
    host.apply_settings()
    Store(host.paths.secrets).write("backup_key", "a-key-of-the-copies-of-the-backups")
    file = host.paths.backups / "dump/20261125T023000.dump"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    when = "2026-11-25T02:30:00+00:00"
    names = {"dump/20261125T023000.dump": file_digest(file)}
    Catalogue(host.paths.backups).add(Backup("dump", "20261125T023000", when, when, 4, names))
    answer, code = host.call("backup.ship")
    assert (answer["outcome"], answer["files"], code) == ("shipped", 4, 0), answer
    assert b"rows" not in b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    assert {row["where"] for row in host.call("backup.list")[0]} == {"droplet, copy"}
    with Lock(host.paths.state / "ship-backups.lock").held("somebody", "backup.ship"):
        answer, code = host.call("backup.ship")
    assert (answer["outcome"], code) == ("refused", 1)
    shutil.rmtree(host.paths.backups)
    host.paths.backups.mkdir()
    assert host.call("backup.ship", rounds=2, every=0)[0]["outcome"] == "shipped"
    assert any("backup.fetch brings them back" in words for words in pending(host))
    answer, code = host.call("backup.fetch")
    assert (answer["outcome"], code) == ("fetched", 0), answer
    assert file.read_bytes() == b"rows"
    assert not any("backup.fetch" in words for words in pending(host))


def pending(host: Host) -> list[str]:
    """What ``backup.check`` says that it waits for somebody."""
    found: list[str] = status(BackupWorld.of(host.paths), host.pillar["settings"])["pending"]
    return found
