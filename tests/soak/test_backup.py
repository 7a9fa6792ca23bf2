"""What backups cost: a storage in trouble, and the log of a day."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.droplet.test_backup_copy import holds_up_nobody
from tests.support import backups
from tests.support.alerts import Chat
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.droplet.storage import Storage
from tests.support.load.running import Load
from tests.support.load.state import sql
from tests.support.numbered import Numbered
from tests.support.waiting import seconds_until

GIB = 1 << 30
DISK = 20 * GIB
"""The default of ``backup:disk``."""
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
