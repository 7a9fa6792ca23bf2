"""The time that gigabytes of backups take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.droplet.conftest import prepared
from tests.support import backups
from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.droplet.storage import Storage
from tests.support.load.state import sql
from tests.support.waiting import seconds_until

GIB = 1 << 30


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """Where the copy of this test's droplet is: a rebuild fetches all that is there."""
    return str(request.node.name).replace("_", "-")


@pytest.fixture
def large(site: Site, images: Images, botapi: BotApi, storage: Storage, place: str) -> Iterator[Droplet]:
    """A droplet with room for gigabytes, whose backups are shipped."""
    with roomy(
        site, images, backups.copied_to(storage, pillar.local(site, images), place), "16G", "24G"
    ) as made:
        yield made


@contextmanager
def roomy(site: Site, images: Images, local: dict[str, Any], data: str, kept: str) -> Iterator[Droplet]:
    """A converged droplet with larger file systems for the database and the backups."""
    local["postgres"] |= {"disk": data}
    local["backup"] |= {"disk": kept}
    # By this role its name is the bot's, which Telegram has to reach.
    made = prepared(site, images, "droplet", local)
    try:
        made.run(["/srv/deploy/bootstrap.sh", "development"])
        yield made
    finally:
        made.destroy()


@pytest.mark.timeout(5400)
def test_gigabytes_take_their_time_in_proportion(
    large: Droplet, site: Site, storage: Storage, place: str, note: Callable[[str], None]
) -> None:
    rebuilt = None
    try:
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
        rebuilt = site.droplet("droplet")
        rebuilt.put_tree()
        done = backups.rebuild(rebuilt, storage, key, place)
        assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert sql(rebuilt, "SELECT count(*) FROM filler") == rows
        note(
            f"5 GB on a bare host, from the copy, its convergence included: {done.seconds:.0f} s "
            f"({rate(5, done.seconds)})"
        )
        assert done.seconds <= 600
    finally:
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
