"""Data, backups and restores under SIGKILL, twenty times each."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.support import backups, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.droplet.storage import Storage
from tests.support.load.state import sql
from tests.support.numbered import Numbered
from tests.support.waiting import seconds_until

KILLS = 20


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
    """SIGKILL from outside Docker, which takes it for a crash; until Docker has noticed."""
    pid = main_process(droplet, container)
    droplet.run(["kill", "-KILL", pid])
    seconds_until(lambda: main_process(droplet, container) != pid, 30)


def main_process(droplet: Droplet, container: str) -> str:
    return droplet.run(["docker", "inspect", "--format", "{{.State.Pid}}", container]).stdout.strip()


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


def shown(places: Counter[str]) -> str:
    """Where it was killed, and how often."""
    return ", ".join(f"{place} {times}" for place, times in places.most_common())


def test_postgres_loses_nothing_that_was_committed(
    droplet: Droplet, chance: random.Random, note: Callable[[str], None]
) -> None:
    assert sql(droplet, "SHOW fsync").strip() == "on"
    lost: set[int] = set()
    with Numbered(droplet) as rows:
        for _ in range(KILLS):
            writer = threading.Thread(target=rows.keep_writing, args=(8.0,))
            writer.start()
            time.sleep(chance.uniform(0.5, 3))
            kill_main_process(droplet, "postgres")
            writer.join()
            seconds_until(lambda: settled(droplet, "postgres"), 120)
            lost |= rows.told.keys() - rows.there()
            # The next numbers begin behind what is there, told or not.
            rows.told |= dict.fromkeys(rows.there(), 0.0)
        note(
            f"PostgreSQL killed {KILLS} times while it wrote: {len(rows.told)} rows committed, {len(lost)} lost"
        )
        assert lost == set()


def test_redis_keeps_its_last_snapshot(droplet: Droplet, note: Callable[[str], None]) -> None:
    try:
        for number in range(1, KILLS + 1):
            assert backups.redis(droplet, f"SET killed {number}", "SAVE") == ["OK", "OK"]
            kill_main_process(droplet, "redis")
            seconds_until(lambda: settled(droplet, "redis"), 60)
            assert backups.redis(droplet, "GET killed") == [str(number)]
    finally:
        backups.redis(droplet, "DEL killed")
    assert call(droplet, "health.check").value["services"]["redis"]["status"] == "healthy"
    assert backups.taken(droplet)
    note(f"Redis killed {KILLS} times: each time back by itself, with all of its last snapshot")


def test_backups_that_are_killed_leave_nothing_half(
    droplet: Droplet, chance: random.Random, note: Callable[[str], None]
) -> None:
    places: Counter[str] = Counter()
    for _ in range(KILLS):
        places[backups.kill(droplet, "backup.create", chance.uniform(0.5, 4))] += 1
        assert backups.problems(droplet) == []
    backups.taken(droplet)
    bases = droplet.run(["ls", f"{backups.BARMAN}/base"]).stdout.split()
    assert sorted(bases) == sorted(row["id"] for row in backups.listed(droplet, "postgres"))
    note(f"backup.create killed {KILLS} times ({shown(places)}): no half backup was ever listed")


def test_restores_that_are_killed_are_taken_up_again(
    closed: Droplet, chance: random.Random, note: Callable[[str], None]
) -> None:
    with Numbered(closed) as rows:
        rows.write(20)
        places: Counter[str] = Counter()
        for _ in range(KILLS):
            places[backups.kill(closed, "backup.restore", chance.uniform(1.5, 9), "to=live")] += 1
            answer = call(closed, "backup.restore", "to=live")
            assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
            assert rows.there() == set(range(1, 21))
            call(closed, "backup.confirm")
            backups.taken(closed)
    assert shipping.status(closed)["backups"]["trouble"] == []
    note(
        f"backup.restore to=live killed {KILLS} times ({shown(places)}): taken up again each time, every row there"
    )


def test_a_rebuild_that_is_killed_is_gone_on_with(
    copied: Droplet, site: Site, storage: Storage, chance: random.Random, note: Callable[[str], None]
) -> None:
    with Numbered(copied) as rows:
        rows.write(20)
        backups.taken(copied)
        # All that was taken before is sent as well.
        seconds_until(lambda: call(copied, "backup.ship").returncode == 0, 300)
        key = copied.get("/etc/marketplace/secrets/backup_key")
        copied.container.pause()
        found = site.droplet("found")
        try:
            found.put_tree()
            # Each goes on where the one before was killed: three of them together don't get to the end.
            moments = [chance.uniform(8, 30) for _ in range(3)]
            for moment in moments:
                assert not backups.rebuild(found, storage, key, killed_after=moment).ok
            done = backups.rebuild(found, storage, key)
            assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            assert sql(found, "SELECT count(*) FROM numbered") == "20"
            assert call(found, "health.check").value["status"] == "healthy"
            assert call(found, "state.apply").changed == {}
        finally:
            copied.container.unpause()
            found.destroy()
    seconds = ", ".join(f"{moment:.0f}" for moment in moments)
    note(f"a rebuild killed after {seconds} s: gone on with, every row there")
