"""The copy of the backups in an object storage: encrypted, not far behind, and enough to come back from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import backups, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.droplet.storage import Storage
from tests.support.load import running
from tests.support.load.state import secret_of, sql
from tests.support.numbered import Numbered
from tests.support.waiting import seconds_until

# Half a minute between rounds, and what one of them takes; the promise is 60.
RPO_SECONDS = 45
SLO = "/var/lib/marketplace/slo"


def ship(droplet: Droplet) -> None:
    """A round that has to go well; cron may be at one just now."""

    def shipped() -> bool:
        return call(droplet, "backup.ship").returncode == 0

    assert seconds_until(shipped, 60) < 60


@pytest.fixture(scope="module")
def backed_up(copied: Droplet) -> Iterator[Droplet]:
    """The droplet with backups at the copy, one of which holds what is in Redis."""
    backups.redis(copied, "SET kept yes")
    backups.taken(copied)
    ship(copied)
    yield copied
    backups.redis(copied, "DEL kept")


def test_every_backup_is_there_and_nothing_of_it_in_clear(backed_up: Droplet, storage: Storage) -> None:
    copied = backed_up
    for kind in ("postgres", "redis", "house"):
        assert backups.listed(copied, kind)[0]["where"] == "droplet, copy", kind
    names = storage.objects(backups.BUCKET, "droplet/")
    identity = backups.listed(copied, "postgres")[0]["id"]
    assert any(f"base/{identity}/data/base.tar.zst" in name for name in names)
    local = copied.run(["find", f"{backups.PLACE}/barman/postgres/base", "-name", "base.tar.zst"]).stdout
    size = int(copied.run(["stat", "-c", "%s", local.split()[0]]).stdout)
    assert any(each > size * 0.9 for each in names.values())
    for name in names:
        assert storage.content(backups.BUCKET, name).startswith(b"RCLONE\x00\x00"), name


def test_a_storage_that_is_away_holds_up_nobody(copied: Droplet, storage: Storage) -> None:
    holds_up_nobody(copied, storage, storage.stop, storage.start)


def received(copied: Droplet) -> float:
    """Bytes of log that PostgreSQL keeps for the receiver, which is at work."""
    receiver = call(copied, "backup.check").value["receiver"]
    assert receiver["active"], receiver
    return float(receiver["behind"])


def holds_up_nobody(
    copied: Droplet, storage: Storage, trouble: Callable[[], None], well: Callable[[], object]
) -> None:
    """While the storage is in trouble, rows are written and backups taken; afterwards both are there."""
    with Numbered(copied) as rows:
        trouble()
        try:
            rows.write(20)
            backups.taken(copied)

            def failed() -> bool:
                answer = call(copied, "backup.ship")
                return answer.returncode == 1 and answer.value["outcome"] == "failed"

            assert seconds_until(failed, 120) < 120
            assert rows.there() == set(range(1, 21))
            assert backups.listed(copied, "postgres")[0]["where"] == "droplet"
            # PostgreSQL keeps no log for it: that is here, and what is old of it goes as ever. A backup ends segments,
            # and the receiver says every few seconds how far it is.
            assert seconds_until(lambda: received(copied) < 16 << 20, 60) < 60
        finally:
            well()
        ship(copied)
        assert backups.listed(copied, "postgres")[0]["where"] == "droplet, copy"


def test_the_key_is_shown_on_a_terminal_alone(copied: Droplet) -> None:
    assert any("backup.key" in words for words in shipping.status(copied)["backups"]["pending"])
    refused = copied.run(["setsid", "--wait", "salt-call", "--out=json", "backup.key"], check=False)
    assert not refused.ok
    assert "terminal" in refused.stdout
    shown = copied.run(["script", "--quiet", "--return", "--command", "salt-call backup.key", "/dev/null"])
    key = secret_of(copied, "backup_key")
    assert key in shown.stdout
    assert key not in refused.stdout
    assert not any("backup.key" in words for words in shipping.status(copied)["backups"]["pending"])


def test_data_and_backups_that_are_both_gone_come_back(
    backed_up: Droplet, storage: Storage, progress: Progress
) -> None:
    copied = backed_up
    kept = {
        name for name in storage.objects(backups.BUCKET, "droplet/") if "/base/" in name or "house" in name
    }
    with Numbered(copied) as rows:
        rows.start()
        begun = time.monotonic()
        call(copied, "deploy.maintenance", "on")
        try:
            # Longer than may be lost, and with nobody's rounds but cron's.
            rest = RPO_SECONDS + 3 - (time.monotonic() - begun)
            rows.destroy_data_after(rest, backups.PLACE, "/srv/data/redis/data")
            copied.run(["docker", "kill", "redis"], check=False)
            # Another round, and another archive: nothing of before is given up for them.
            ship(copied)
            assert kept <= set(storage.objects(backups.BUCKET, "droplet/"))
            assert any("backup.fetch" in words for words in shipping.status(copied)["backups"]["pending"])
            fetched = call(copied, "backup.fetch")
            assert fetched.returncode == 0, f"{fetched.value}\n{fetched.stderr}"
            assert backups.listed(copied, "postgres")
            # Secrets are among them.
            assert copied.run(["find", backups.PLACE, "-type", "f", "-perm", "/077"]).stdout == ""
            answer = call(copied, "backup.restore", "to=live")
            assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
            lost = rows.lost_seconds()
            progress.note(
                f"{len(rows.told)} rows, RPO {lost:.1f} s; fetched in {fetched.value['seconds']} s, "
                f"restored in {answer.value['seconds']} s"
            )
            assert lost <= RPO_SECONDS
            answer = call(copied, "backup.restore", "what=cache", "to=live")
            assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
            assert backups.redis(copied, "GET kept") == ["yes"]
            assert call(copied, "state.apply").failed == {}
            backups.taken(copied)
            call(copied, "backup.confirm")
            ship(copied)
            assert call(copied, "backup.check").value["trouble"] == []
        finally:
            call(copied, "deploy.maintenance", "off")
    assert call(copied, "health.check").value["status"] == "healthy"


def test_a_lost_droplet_comes_back_by_one_command(
    copied: Droplet, site: Site, storage: Storage, neighbour: Machine, progress: Progress
) -> None:
    with running.users(neighbour, copied, 10, 2.0) as users:
        users.pause_until(100)
        users.stop()
    copied.run(["systemctl", "restart", "marketplace-watch"])
    reached = copied.run(["sh", "-c", f"cat {SLO}/minutes-*"]).stdout.splitlines()
    backups.taken(copied)
    with running.users(neighbour, copied, 10, 2.0) as later:
        later.pause_until(50)
        later.stop()
    ship(copied)
    version = shipping.status(copied)["live"]["version"]
    key = copied.get("/etc/marketplace/secrets/backup_key")
    history, kept = shipping.history(copied), house(copied)
    copied.container.pause()
    found = site.droplet("found")
    try:
        found.put_tree()
        done = backups.rebuild(found, storage, key)
        assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        progress.note(f"rebuilt in {done.seconds:.0f} s, from a bare host on")
        shipping.assert_sound(found, version)
        assert shipping.history(found) == history
        assert house(found) == kept
        # How well the lost one was reached is known, and how long nobody was.
        found.run(["systemctl", "restart", "marketplace-watch"])
        assert set(reached) <= set(found.run(["sh", "-c", f"cat {SLO}/minutes-*"]).stdout.splitlines())
        assert 60 * call(found, "health.slo", "2").value["uptime"]["down_minutes"] > done.seconds / 2
        users.assert_lossless(found)
        # The cache is as of its last snapshot.
        later.assert_lossless(found, dialogues=False)
        assert call(found, "state.apply").changed == {}
        assert call(found, "health.check").value["status"] == "healthy"
        with running.users(neighbour, found, 10, 2.0) as users:
            users.pause_until(50)
            users.assert_lossless(found)
        ship(found)
        # The lost one comes back, and knows nothing of it.
        copied.container.unpause()
        sql(copied, "SELECT pg_create_restore_point('something_new')")
        said: list[str] = []

        def refused() -> bool:
            answer = call(copied, "backup.ship")
            said.append(answer.value["reason"])
            return answer.returncode == 1 and answer.value["outcome"] == "failed"

        seconds_until(refused, 60)
        assert "is the copy of another droplet (found-" in said[-1]
    finally:
        copied.container.reload()
        if copied.container.status == "paused":
            copied.container.unpause()
        found.destroy()
        # Telegram's stand-in knows the rebuilt one's certificate now.
        copied.run(["rm", "/var/lib/marketplace/webhook.json"])


def house(droplet: Droplet) -> dict[str, str]:
    """Digests, by file, of what a rebuilt droplet has to have again: secrets, and the services' own authority."""
    places = ("/etc/marketplace/secrets", "/etc/marketplace/tls/services")
    found = droplet.run(["find", *places, "-type", "f", "-exec", "sha256sum", "{}", "+"]).stdout
    return {line.split()[1]: line.split()[0] for line in found.splitlines()}
