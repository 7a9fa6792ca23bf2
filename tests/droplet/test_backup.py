"""Backups: taken at once and whenever asked, looked through to the byte, and never half of one on the list.

The long versions (20 kills, gigabytes) are for `make soak`.
"""

from __future__ import annotations

import pytest

from tests.support import backups, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.state import sql
from tests.support.waiting import seconds_until

# Where a backup and the Barman that it starts are at work.
_AT_WORK = """
salt-call backup.create "$@" > /dev/null 2>&1 &
until systemctl --quiet is-active marketplace-barman.service; do
    kill -0 $! || exit 1
    sleep 0.05
done
for process in $! $(systemctl show --property=MainPID --value marketplace-barman.service); do
    cat "/proc/$process/cgroup"
    grep Cpus_allowed_list "/proc/$process/status"
done
wait $!
"""


def test_there_are_backups_from_the_first_hour_on(droplet: Droplet) -> None:
    for kind in ("postgres", "dump", "redis", "house"):
        assert backups.listed(droplet, kind), kind
    found = call(droplet, "backup.check")
    assert found.returncode == 0, found.value
    assert found.value["receiver"]["active"]
    assert shipping.status(droplet)["backups"]["trouble"] == []


def test_cron_takes_one_every_night_and_asks_every_hour(droplet: Droplet) -> None:
    crontab = droplet.get("/etc/cron.d/marketplace-backup").decode()
    assert "30 2 * * * root" in crontab
    line = next(line for line in crontab.splitlines() if "backup.check" in line)
    command = line.split("root ", 1)[1]
    # Just as cron calls it: by its shell and with little of an environment.
    droplet.run(["env", "-i", "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "sh", "-c", command])
    told = droplet.run(["journalctl", "-t", "marketplace-backup", "-o", "cat"]).stdout
    assert "trouble" in told


@pytest.mark.parametrize(
    ("arguments", "place"),
    [([], "background.slice"), (["jitter=1"], "background.slice/background-nightly.slice")],
)
def test_backups_come_behind_what_users_ask_for(droplet: Droplet, arguments: list[str], place: str) -> None:
    seen = droplet.run(["sh", "-c", _AT_WORK, "sh", *arguments]).stdout
    assert seen.count(f"/{place}/backup-") >= 1, seen
    assert seen.count(f"/{place}/marketplace-barman.service") >= 1, seen
    # The first processor is for users.
    allowed = [line.split()[1] for line in seen.splitlines() if line.startswith("Cpus_allowed_list")]
    assert len(allowed) == 2
    assert not [processors for processors in allowed if processors.startswith("0")]


def test_what_has_all_night_has_a_part_of_a_processor(droplet: Droplet) -> None:
    limit = ["systemctl", "show", "--value", "--property=CPUQuotaPerSecUSec", "background-nightly.slice"]
    assert droplet.run(limit).stdout == "200ms\n"


def test_what_is_taken_is_listed_and_whole(droplet: Droplet) -> None:
    before = {row["id"] for row in backups.listed(droplet, "postgres")}
    answer = backups.taken(droplet)
    new = [row for row in backups.listed(droplet, "postgres") if row["id"] not in before]
    assert [row["id"] for row in new] == [row["id"] for row in answer["backups"] if row["what"] == "postgres"]
    assert new[0]["bytes"] > 1_000_000
    assert new[0]["verified"].startswith("20")
    assert backups.problems(droplet) == []


@pytest.mark.parametrize("part", ["base.tar.zst", "backup_manifest", "backup.info"])
def test_a_byte_of_a_base_backup_is_missed(droplet: Droplet, part: str) -> None:
    identity = backups.listed(droplet, "postgres")[0]["id"]
    found = droplet.run(["find", backups.BARMAN, "-path", f"*{identity}*", "-name", f"*{part}"]).stdout
    with backups.flipped(droplet, found.strip(), 100):
        problems = backups.problems(droplet)
        assert len(problems) == 1, problems
        assert identity in problems[0]
        assert part in problems[0]
        # It is no longer one to rely on.
        assert backups.listed(droplet, "postgres")[0]["verified"].startswith("BAD")
        assert call(droplet, "backup.check").returncode == 1
    assert backups.problems(droplet) == []


def test_a_byte_of_the_log_is_missed(droplet: Droplet) -> None:
    segment = backups.segments(droplet)[-1]
    with backups.flipped(droplet, segment, 60):
        problems = backups.problems(droplet)
        assert [segment.rsplit("/", 1)[1] in words for words in problems] == [True], problems
    assert backups.problems(droplet) == []


@pytest.mark.parametrize("place", [-2, -1])
def test_a_segment_that_is_missing_is_named(droplet: Droplet, place: int) -> None:
    segment = backups.segments(droplet)[place]
    name = segment.rsplit("/", 1)[1]
    droplet.run(["mv", segment, "/root/"])
    try:
        problems = backups.problems(droplet)
        assert problems
        assert all(name in words and "missing" in words for words in problems), problems
    finally:
        droplet.run(["mv", f"/root/{name}", segment])
    assert backups.problems(droplet) == []


def test_a_byte_of_a_snapshot_is_missed(droplet: Droplet) -> None:
    row = backups.listed(droplet, "redis")[0]
    with backups.flipped(droplet, f"{backups.PLACE}/redis/{row['id']}.rdb.zst", 40):
        problems = backups.problems(droplet)
        assert len(problems) == 1, problems
        assert f"redis/{row['id']}.rdb.zst" in problems[0]
    assert backups.problems(droplet) == []


def test_only_one_is_at_the_backups(droplet: Droplet) -> None:
    holder = [
        "flock",
        "--exclusive",
        "/var/lib/marketplace/backup.lock",
        "salt-call",
        "--local",
        "backup.verify",
    ]
    told = droplet.run([*holder, "--out=json"], check=False)
    assert not told.ok
    assert "holds the backup lock" in told.stdout


def test_a_receiver_that_is_killed_comes_back(droplet: Droplet) -> None:
    before = droplet.run(["systemctl", "show", backups.UNIT, "--property=MainPID", "--value"]).stdout
    droplet.run(["systemctl", "kill", "--signal=KILL", backups.UNIT])

    def back() -> bool:
        now = droplet.run(["systemctl", "show", backups.UNIT, "--property=MainPID", "--value"]).stdout
        return now not in (before, "0\n") and call(droplet, "backup.check").value["receiver"]["active"]

    assert seconds_until(back, 30) < 30


def test_a_log_that_ran_away_is_said_and_started_over(droplet: Droplet) -> None:
    sql(droplet, "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
    droplet.run(["systemctl", "stop", backups.UNIT])
    try:
        sql(droplet, "SELECT pg_reload_conf()")
        for _ in range(6):
            sql(droplet, "SELECT pg_create_restore_point('on'), pg_switch_wal()")
        sql(droplet, "CHECKPOINT")
        found = call(droplet, "backup.check")
        assert found.returncode == 1
        assert any("no longer has the log" in words for words in found.value["trouble"]), found.value
    finally:
        sql(droplet, "ALTER SYSTEM RESET max_slot_wal_keep_size")
        sql(droplet, "SELECT pg_reload_conf()")
        droplet.run(["systemctl", "start", backups.UNIT])
    steps = {step["name"]: step["detail"] for step in backups.taken(droplet)["steps"]}
    assert "started over" in steps["receiver"]
    # What can't be restored any more is said; what is written now can be.
    assert "is missing" in steps["verify"]
    found = call(droplet, "backup.verify").value
    assert (found["problems"], len(found["past"])) == ([], 1)
    assert call(droplet, "backup.check").value["trouble"] == []


def test_a_dump_can_be_read_by_a_database_of_its_own(droplet: Droplet) -> None:
    # The first of all is of a database in which nothing was released yet; it does not count for a week.
    backups.taken(droplet)
    row = backups.listed(droplet, "dump")[0]
    inside = ["docker", "exec", "--interactive", "postgres"]
    sql(droplet, "CREATE DATABASE of_the_dump")
    try:
        command = f"{' '.join(inside)} pg_restore -U postgres -d of_the_dump --exit-on-error"
        droplet.run(["sh", "-c", f"{command} < {backups.PLACE}/dump/{row['id']}.dump"])
        told = droplet.run(
            [*inside, "psql", "-U", "postgres", "-qAtX", "of_the_dump", "-c", "TABLE alembic_version"]
        )
        assert told.stdout.strip()
        assert "marketplace_app" in droplet.get(f"{backups.PLACE}/dump/{row['id']}.roles.sql").decode()
    finally:
        sql(droplet, "DROP DATABASE of_the_dump")
