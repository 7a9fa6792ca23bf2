"""Backups that are restored: on trial, to any second, and in earnest after the data are gone.

What has to be there is what the writer of numbered rows was told outside the droplet. The long versions (20 kills,
gigabytes) are for `make soak`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from tests.support import backups, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.load.running import Load
from tests.support.load.state import sql
from tests.support.numbered import Numbered


@pytest.fixture(scope="module")
def closed(droplet: Droplet) -> Iterator[Droplet]:
    """The droplet with its edge closed for updates, as restoring to live wants it."""
    call(droplet, "deploy.maintenance", "on")
    yield droplet
    call(droplet, "deploy.maintenance", "off")


def running(droplet: Droplet) -> set[str]:
    """Names of the containers that run."""
    return set(droplet.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split())


def test_a_drill_under_load_passes_and_nobody_waits(droplet: Droplet, load: Callable[..., Load]) -> None:
    users = load(20, 1.0)
    answer = call(droplet, "backup.drill")
    assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
    assert answer.value["outcome"] == "passed"
    assert answer.value["rpo_seconds"] <= 60
    assert answer.value["rows"] > 0
    users.assert_lossless(droplet)
    assert call(droplet, "backup.check").value["drill"]["rto_seconds"] == answer.value["rto_seconds"]
    # Nothing of it is left.
    assert "postgres-drill" not in droplet.run(["docker", "ps", "--all", "--format", "{{.Names}}"]).stdout
    assert not droplet.run(["test", "-e", f"{backups.PLACE}/drill"], check=False).ok


def test_a_backup_that_can_not_be_restored_fails_the_drill(droplet: Droplet) -> None:
    backups.taken(droplet)
    identity = backups.listed(droplet, "postgres")[0]["id"]
    file = f"{backups.BARMAN}/base/{identity}/data/base.tar.zst"
    with backups.flipped(droplet, file, 500_000):
        answer = call(droplet, "backup.drill")
    assert (answer.returncode, answer.value["outcome"]) == (1, "failed")
    assert answer.value["reason"]
    assert shipping.status(droplet)["backups"]["drill"] is not None  # that of before


def test_a_drill_that_is_killed_is_cleared_up_by_the_hourly_check(droplet: Droplet) -> None:
    backups.kill(droplet, "backup.drill", 2.5)
    call(droplet, "backup.check")
    assert "postgres-drill" not in droplet.run(["docker", "ps", "--all", "--format", "{{.Names}}"]).stdout
    assert not droplet.run(["test", "-e", f"{backups.PLACE}/drill"], check=False).ok


def test_a_time_between_two_rows_gives_exactly_the_first(droplet: Droplet) -> None:
    with Numbered(droplet) as rows:
        rows.write(1)
        between = sql(droplet, "SELECT pg_sleep(0.05), clock_timestamp()").split("|")[1]
        sql(droplet, "SELECT pg_sleep(0.05)")
        rows.write(1)
        answer = call(droplet, "backup.restore", f"time='{between}'")
        assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
        asked = [
            "docker",
            "exec",
            answer.value["container"],
            "psql",
            "-U",
            "postgres",
            "-qAtX",
            "marketplace",
        ]
        assert droplet.run([*asked, "-c", "SELECT n FROM numbered"]).stdout.split() == ["1"]
        # The live one has gone on.
        assert sql(droplet, "SELECT count(*) FROM numbered").strip() == "2"
    assert call(droplet, "backup.discard").returncode == 0
    assert "postgres-scratch" not in droplet.run(["docker", "ps", "--all", "--format", "{{.Names}}"]).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("time=yesterday",), "expected a point in time"),
        (("time='2020-01-01T00:00:00'",), "nothing before that can be restored"),
        (("time='2120-01-01T00:00:00'",), "still to come"),
        (("to=moon",), "expected scratch or live"),
        (("target=live",), "target"),
        (("to=live",), "deploy.maintenance on"),
        (("what=cache", "to=live"), "deploy.maintenance on"),
        (("what=cache",), "to=live"),
        (("what=soup",), "expected database or cache"),
    ],
)
def test_what_can_not_be_restored_is_refused_in_words(
    droplet: Droplet, arguments: tuple[str, ...], says: str
) -> None:
    answer = call(droplet, "backup.restore", *arguments)
    assert answer.returncode == 1
    assert says in answer.value["reason"], answer.value
    names = droplet.run(["docker", "ps", "--all", "--format", "{{.Names}}"]).stdout.split()
    assert not {"postgres-scratch", "postgres-restore"} & set(names)


def test_a_restore_that_nobody_finishes_keeps_the_edge_closed_and_is_given_up(closed: Droplet) -> None:
    with Numbered(closed) as rows:
        rows.write(5)
        # Just behind the moment at which the data changed places.
        mark = "/srv/data/postgres/data/17/restored"
        backups.kill_once_there(closed, mark, "backup.restore", "to=live")
        opened = call(closed, "deploy.maintenance", "off")
        assert "backup.restore undo=True gives it up" in opened.value["reason"], opened.value
        other = call(closed, "backup.restore", "to=live", "time='2026-01-01T00:00:00'")
        assert "is another target than was begun with" in other.value["reason"], other.value
        # The restore's last breath may have been to start it; once it has come up, it is not given up.
        closed.run(["docker", "stop", "postgres"])
        # Nobody writes, nor does anything start what was stopped, before it is decided which data are live.
        assert not {"backend-blue", "backend-green"} & running(closed)
        applied = call(closed, "state.apply", "marketplace.data")
        assert "undo=True gives it up" in str(applied.failed), applied.value
        assert "postgres" not in running(closed)
        undone = call(closed, "backup.restore", "undo=True")
        assert undone.value["outcome"] == "undone", f"{undone.value}\n{undone.stderr}"
        assert {"backend-blue", "backend-green"} & running(closed), undone.value
        # The old data are live, and their log goes on as if nothing had been.
        rows.write(5)
        assert rows.there() == set(range(1, 11))
        drill = call(closed, "backup.drill")
        assert drill.value["outcome"] == "passed", drill.value
    assert closed.run(["ls", "/srv/data/postgres/data"]).stdout.split() == ["17"]


def test_data_that_are_destroyed_under_load_come_back(closed: Droplet, progress: Progress) -> None:
    seed = random.randrange(10**6)  # noqa: S311
    with Numbered(closed) as rows:
        rows.start()
        rows.destroy_data_after(random.Random(seed).uniform(2, 5))  # noqa: S311
        answer = call(closed, "backup.restore", "to=live")
        assert answer.returncode == 0, f"seed {seed}: {answer.value}\n{answer.stderr}"
        lost = rows.lost_seconds()
        progress.note(
            f"seed {seed}: {len(rows.told)} rows, RPO {lost:.2f} s, RTO {answer.value['seconds']} s"
        )
        assert lost <= 1.0, f"seed {seed}"
        assert answer.value["aside"], answer.value
    assert call(closed, "state.apply").failed == {}
    backups.taken(closed)
    # What an earlier test has lost of the log is past.
    assert call(closed, "backup.verify").value["problems"] == []
    assert answer.value["aside"] in call(closed, "backup.confirm").value["deleted"]
    assert call(closed, "backup.check").value["trouble"] == []
    call(closed, "deploy.maintenance", "off")
    try:
        assert call(closed, "health.check").value["status"] == "healthy"
    finally:
        call(closed, "deploy.maintenance", "on")


def test_the_cache_comes_back_as_its_snapshot_had_it(closed: Droplet) -> None:
    backups.redis(closed, "SET kept yes")
    backups.taken(closed)
    backups.redis(closed, "SET kept no", "SET new yes")
    answer = call(closed, "backup.restore", "what=cache", "to=live")
    assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
    assert backups.redis(closed, "GET kept", "EXISTS new") == ["yes", "0"]
    assert any(answer.value["aside"] in words for words in shipping.status(closed)["backups"]["pending"])
    assert call(closed, "backup.confirm").value["deleted"] == [answer.value["aside"]]
    assert call(closed, "state.apply").changed == {}
    backups.redis(closed, "DEL kept")
