"""What backups cost: a storage in trouble, the users meanwhile, the log of a day, and gigabytes of data."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.droplet.conftest import prepared
from tests.droplet.test_backup_copy import holds_up_nobody
from tests.support import backups
from tests.support.alerts import Chat
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.droplet.storage import Storage
from tests.support.load.running import Load
from tests.support.load.state import sql
from tests.support.numbered import Numbered
from tests.support.waiting import seconds_until

GIB = 1 << 30
DISK = 20 * GIB
"""The default of ``backup:disk``."""
ROUNDS = 5
MINUTES = 5
NOT_SHIPPED = "the backups have not reached their copy since"


@pytest.mark.parametrize(
    ("mode", "options"), [("refuse", {}), ("full", {"status": 507}), ("full", {"status": 503})]
)
def test_a_storage_in_trouble_holds_up_nobody(
    copied: Droplet,
    storage: Storage,
    mode: str,
    options: dict[str, int],
) -> None:
    holds_up_nobody(copied, storage, lambda: storage.mode(mode, **options), lambda: storage.mode("ok"))


def test_a_slow_storage_is_waited_for_by_the_copy_alone(
    copied: Droplet,
    storage: Storage,
    note: Callable[[str], None],
) -> None:
    storage.mode("slow", seconds=5)
    try:
        with Numbered(copied) as rows:
            begun = time.monotonic()
            rows.write(200)
            written = time.monotonic() - begun
            taken = backups.taken(copied)["seconds"]
            shipped = seconds_until(lambda: call(copied, "backup.ship").returncode == 0, 300)
        assert backups.listed(copied, "postgres")[0]["where"] == "droplet, copy"
        note(
            f"every request to the storage takes 5 s: 200 rows written in {written:.1f} s, backed up in {taken} s, "
            f"which was at the copy {shipped:.0f} s later"
        )
        assert written < 5
    finally:
        storage.mode("ok")


def test_a_storage_that_refuses_for_minutes_is_told_of_once(
    copied: Droplet, site: Site, storage: Storage, note: Callable[[str], None]
) -> None:
    seconds_until(lambda: call(copied, "backup.ship").returncode == 0, 120)
    chat = Chat.from_now(site.alerts())
    with Numbered(copied) as rows:
        storage.mode("refuse")
        try:
            rows.write(20)
            seconds = seconds_until(lambda: chat.said(NOT_SHIPPED), 480)
            note(f"a storage that refuses everything: people are told after {seconds:.0f} s")
            assert seconds > 240
            trouble = call(copied, "backup.check").value["trouble"]
            assert any("have not reached s3:" in words for words in trouble), trouble
            # Rounds fail on and on.
            rows.write(20)
            time.sleep(90)
        finally:
            storage.mode("ok")
        chat.arrives("the backups reach their copy again", 120)
    assert len(chat.said(NOT_SHIPPED)) == 1
    assert call(copied, "backup.check").value["trouble"] == []


def test_a_backup_costs_users_little(
    copied: Droplet, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    fill(copied, GIB // 4)
    try:
        users = load(50, 1.0)
        for _ in range(ROUNDS):
            users.pause_until(1500)
            with users.window():
                backups.taken(copied)
                seconds_until(lambda: call(copied, "backup.ship").returncode == 0, 300)
        rest, during = users.at_rest().p95_ms or 0.0, users.in_windows().p95_ms or 0.0
        users.assert_lossless(copied)
        note(
            f"p95 of answers while a backup is taken and sent to the copy {during:.0f} ms, else {rest:.0f} ms "
            f"({ROUNDS} backups of 0.25 GB)"
        )
        assert during <= 1.2 * rest
    finally:
        sql(copied, "DROP TABLE filler")


def test_what_a_day_of_log_takes(
    droplet: Droplet, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    backups.taken(droplet)
    idle = log_bytes_over(droplet, MINUTES)
    users = load(50, 1.0)
    busy = log_bytes_over(droplet, MINUTES)
    users.assert_lossless(droplet)
    day = 24 * 60 // MINUTES
    note(
        f"log kept in {MINUTES} minutes: {idle / 1e6:.2f} MB idle, {busy / 1e6:.2f} MB at 50 updates a second; "
        f"reckoned for a day (x {day}): {idle * day / 1e6:.0f} MB and {busy * day / 1e6:.0f} MB"
    )
    assert idle * day < GIB
    # Else the default of backup:disk could not even hold what goes back to the night before.
    assert busy * day < DISK


def log_bytes_over(droplet: Droplet, minutes: int) -> int:
    """By how much the log that is kept grows."""

    def kept() -> int:
        # The segment that is just being received is finished, so that all that was written counts.
        sql(droplet, "SELECT pg_switch_wal(), pg_create_restore_point('measured')")
        droplet.run(["runuser", "-u", "backup", "--", "barman", "archive-wal", "postgres"])
        return int(droplet.run(["du", "--summarize", "--bytes", f"{backups.BARMAN}/wals"]).stdout.split()[0])

    before = kept()
    time.sleep(60 * minutes)
    return kept() - before


@pytest.mark.timeout(5400)
def test_gigabytes_take_their_time_in_proportion(
    site: Site, images: Images, storage: Storage, note: Callable[[str], None]
) -> None:
    large, rebuilt = prepared(site, images, "large"), None
    try:
        local = pillar.local(site, images)
        local["postgres"] |= {"disk": "14G"}
        local["backup"] |= {"disk": "16G"}
        pillar.write(large, backups.copied_to(storage, local, "large"))
        large.run(["/srv/deploy/bootstrap.sh", "development"])
        took: dict[int, tuple[float, float, float]] = {}
        for size in (1, 5):
            fill(large, size * GIB)
            begun = time.monotonic()
            backups.taken(large)
            backup = time.monotonic() - begun
            drill = call(large, "backup.drill")
            assert drill.returncode == 0, drill.value
            call(large, "deploy.maintenance", "on")
            restore = call(large, "backup.restore", "to=live")
            assert restore.returncode == 0, restore.value
            call(large, "backup.confirm")
            call(large, "deploy.maintenance", "off")
            took[size] = (backup, drill.value["rto_seconds"], restore.value["seconds"])
            note(
                f"{size} GB: backed up in {backup:.0f} s ({rate(size, backup)}), "
                f"drill's RTO {drill.value['rto_seconds']} s ({rate(size, drill.value['rto_seconds'])}), "
                f"restored to live in {restore.value['seconds']} s ({rate(size, restore.value['seconds'])})"
            )
        for small, big in zip(took[1], took[5], strict=True):
            assert big <= 600
            # Five times as much, and what is the same for both.
            assert big <= 7 * small + 10, took
        backups.taken(large)
        shipped = seconds_until(lambda: call(large, "backup.ship").returncode == 0, 600)
        note(f"5 GB, what was left of them to send: at the copy {shipped:.0f} s after the backup")
        rows = sql(large, "SELECT count(*) FROM filler")
        key = large.get("/etc/marketplace/secrets/backup_key")
        large.destroy()
        rebuilt = site.droplet("rebuilt")
        rebuilt.put_tree()
        done = backups.rebuild(rebuilt, storage, key, "large")
        assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert sql(rebuilt, "SELECT count(*) FROM filler") == rows
        note(
            f"5 GB on a bare host, from the copy, its convergence included: {done.seconds:.0f} s "
            f"({rate(5, done.seconds)})"
        )
        assert done.seconds <= 600
    finally:
        large.destroy()
        if rebuilt:
            rebuilt.destroy()


def rate(gib: float, seconds: float) -> str:
    return f"{gib * GIB / 1e6 / seconds:.0f} MB/s"


def fill(droplet: Droplet, size: int) -> None:
    """Have the database grow to so many bytes, of what hardly compresses."""
    sql(droplet, "CREATE TABLE IF NOT EXISTS filler (data text)")
    while (there := int(sql(droplet, "SELECT pg_database_size('marketplace')"))) < size:
        rows = max(1000, min(400_000, (size - there) // 1100))
        sql(
            droplet,
            "INSERT INTO filler SELECT "
            "(SELECT string_agg(md5(random()::text || g || i), '') FROM generate_series(1, 32) i) "
            f"FROM generate_series(1, {rows}) g",
        )
