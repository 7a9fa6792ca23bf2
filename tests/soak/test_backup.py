"""Backups and data under SIGKILL, twenty times each; and gigabytes of them: how long, and is it in proportion."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.droplet.conftest import prepared
from tests.droplet.test_backup_copy import holds_up_nobody
from tests.support import backups, shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.droplet.storage import Storage
from tests.support.load.running import Load
from tests.support.load.state import sql
from tests.support.numbered import Numbered
from tests.support.waiting import seconds_until

KILLS = 20
GIB = 1 << 30
ROUNDS = 5
MINUTES = 5


@pytest.fixture
def chance() -> random.Random:
    """What is random here; a test that fails shows its seed."""
    seed = random.randrange(10**6)  # noqa: S311
    print(f"seed {seed}")
    return random.Random(seed)  # noqa: S311


@pytest.fixture
def closed(droplet: Droplet) -> Iterator[Droplet]:
    """The droplet with its edge closed for updates, as restoring to live wants it."""
    call(droplet, "deploy.maintenance", "on")
    yield droplet
    call(droplet, "deploy.maintenance", "off")


def kill_main_process(droplet: Droplet, container: str) -> None:
    """SIGKILL from outside Docker, which takes it for a crash."""
    pid = droplet.run(["docker", "inspect", "--format", "{{.State.Pid}}", container]).stdout.strip()
    droplet.run(["kill", "-KILL", pid])


def settled(droplet: Droplet, container: str) -> bool:
    """Whether it is healthy, and has run for so long that Docker starts it again at once (10 s, else it waits)."""
    form = "{{.State.Health.Status}} {{.State.StartedAt}}"
    shown = droplet.run(["docker", "inspect", "--format", form, container], check=False).stdout.split()
    if not shown or shown[0] != "healthy":
        return False
    started, now = (
        droplet.run(["date", "+%s", f"--date={shown[1]}"]).stdout,
        droplet.run(["date", "+%s"]).stdout,
    )
    return int(now) - int(started) > 11


def test_postgres_loses_nothing_that_was_committed(
    droplet: Droplet, chance: random.Random, note: Callable[[str], None]
) -> None:
    assert sql(droplet, "SHOW fsync").strip() == "on"
    with Numbered(droplet) as rows:
        for _ in range(KILLS):
            writer = threading.Thread(target=rows.keep_writing, args=(8.0,))
            writer.start()
            time.sleep(chance.uniform(0.5, 3))
            kill_main_process(droplet, "postgres")
            writer.join()
            seconds_until(lambda: settled(droplet, "postgres"), 120)
            assert set(rows.told) <= rows.there()
            # The next numbers begin behind what is there, told or not.
            rows.told |= dict.fromkeys(rows.there(), 0.0)
        note(f"PostgreSQL killed {KILLS} times while it wrote: {len(rows.told)} rows committed, 0 lost")


def test_redis_keeps_its_last_snapshot(droplet: Droplet, note: Callable[[str], None]) -> None:
    backups.taken(droplet)
    before = call(droplet, "health.check").value["services"]["redis"]
    for _ in range(KILLS):
        kill_main_process(droplet, "redis")
        seconds_until(lambda: settled(droplet, "redis"), 60)
    assert call(droplet, "health.check").value["services"]["redis"]["status"] == before["status"]
    assert backups.taken(droplet)
    note(f"Redis killed {KILLS} times: back by itself each time")


def test_backups_that_are_killed_leave_nothing_half(
    droplet: Droplet, chance: random.Random, note: Callable[[str], None]
) -> None:
    for _ in range(KILLS):
        backups.kill(droplet, "backup.create", chance.uniform(0.5, 6))
        assert backups.problems(droplet) == []
    backups.taken(droplet)
    bases = droplet.run(["ls", f"{backups.BARMAN}/base"]).stdout.split()
    assert sorted(bases) == sorted(row["id"] for row in backups.listed(droplet, "postgres"))
    note(f"backup.create killed {KILLS} times: no half backup was ever listed")


def test_restores_that_are_killed_are_taken_up_again(
    closed: Droplet, chance: random.Random, note: Callable[[str], None]
) -> None:
    with Numbered(closed) as rows:
        rows.write(20)
        for _ in range(KILLS):
            backups.kill(closed, "backup.restore", chance.uniform(0.5, 8), "to=live")
            answer = call(closed, "backup.restore", "to=live")
            assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
            assert rows.there() == set(range(1, 21))
            call(closed, "backup.confirm")
            backups.taken(closed)
    assert shipping.status(closed)["backups"]["trouble"] == []
    note(f"backup.restore to=live killed {KILLS} times: taken up again each time, every row there")


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
            shipped = call(copied, "backup.ship")
        assert shipped.value["outcome"] in ("shipped", "refused"), shipped.value
        note(
            f"every request to the storage takes 5 s: 200 rows written in {written:.1f} s, backed up in {taken} s"
        )
        assert written < 5
    finally:
        storage.mode("ok")


def test_a_backup_costs_users_little(
    droplet: Droplet, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    fill(droplet, GIB // 4)
    try:
        users = load(50, 1.0)
        for _ in range(ROUNDS):
            users.pause_until(1500)
            with users.window():
                backups.taken(droplet)
        rest, during = users.at_rest().p95_ms or 0.0, users.in_windows().p95_ms or 0.0
        users.assert_lossless(droplet)
        note(
            f"p95 of answers while a backup is taken {during:.0f} ms, else {rest:.0f} ms ({ROUNDS} backups of 0.25 GB)"
        )
        assert during <= 1.2 * rest
    finally:
        sql(droplet, "DROP TABLE filler")


def test_what_a_day_of_log_takes(
    droplet: Droplet, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    backups.taken(droplet)
    idle = log_bytes_over(droplet, MINUTES)
    users = load(50, 1.0)
    busy = log_bytes_over(droplet, MINUTES)
    users.assert_lossless(droplet)
    day = 24 * 60 / MINUTES
    note(
        f"log kept in {MINUTES} minutes: {idle / 1e6:.1f} MB idle, {busy / 1e6:.1f} MB at 50 updates a second; "
        f"in a day {idle * day / 1e6:.0f} MB and {busy * day / 1e6:.0f} MB"
    )
    assert idle * day < GIB


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
                f"{size} GB: backed up in {backup:.0f} s, drill's RTO {drill.value['rto_seconds']} s, "
                f"restored to live in {restore.value['seconds']} s"
            )
        for small, big in zip(took[1], took[5], strict=True):
            assert big <= 600
            # Five times as much, and what is the same for both.
            assert big <= 7 * small + 10, took
        backups.taken(large)
        assert seconds_until(lambda: call(large, "backup.ship").returncode == 0, 600) < 600
        rows = sql(large, "SELECT count(*) FROM filler")
        key = large.get("/etc/marketplace/secrets/backup_key")
        large.destroy()
        rebuilt = site.droplet("rebuilt")
        rebuilt.put_tree()
        done = backups.rebuild(rebuilt, storage, key, "large")
        assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert sql(rebuilt, "SELECT count(*) FROM filler") == rows
        note(f"5 GB on a bare host, from the copy, its convergence included: {done.seconds:.0f} s")
        assert done.seconds <= 600
    finally:
        large.destroy()
        if rebuilt:
            rebuilt.destroy()


def test_a_rebuild_that_is_killed_is_gone_on_with(
    copied: Droplet, site: Site, storage: Storage, chance: random.Random, note: Callable[[str], None]
) -> None:
    with Numbered(copied) as rows:
        rows.write(20)
        backups.taken(copied)
        assert seconds_until(lambda: call(copied, "backup.ship").returncode == 0, 60) < 60
        key = copied.get("/etc/marketplace/secrets/backup_key")
        copied.container.pause()
        found = site.droplet("found")
        try:
            found.put_tree()
            moments = sorted(chance.uniform(20, 150) for _ in range(3))
            for moment in moments:
                backups.rebuild(found, storage, key, killed_after=moment)
            done = backups.rebuild(found, storage, key)
            assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            assert sql(found, "SELECT count(*) FROM numbered") == "20"
            assert call(found, "health.check").value["status"] == "healthy"
            assert call(found, "state.apply").changed == {}
        finally:
            copied.container.unpause()
            found.destroy()
    shown = ", ".join(f"{moment:.0f}" for moment in moments)
    note(f"a rebuild killed after {shown} s: gone on with, every row there")


def fill(droplet: Droplet, size: int) -> None:
    """Have the database grow to so many bytes, of what hardly compresses."""
    sql(droplet, "CREATE TABLE IF NOT EXISTS filler (data text)")
    while (there := int(sql(droplet, "SELECT pg_database_size('marketplace')"))) < size:
        rows = max(1000, min(400_000, (size - there) // 1100))
        sql(
            droplet,
            "INSERT INTO filler SELECT (SELECT string_agg(md5(random()::text || g), '') FROM generate_series(1, 32)) "
            f"FROM generate_series(1, {rows}) g",
        )
