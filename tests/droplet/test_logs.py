"""What was logged is found: by whom, when, how bad, of which release and which update; and nobody can push it out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import inside, shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result
from tests.support.droplet.salt import call
from tests.support.load.state import sql
from tests.support.waiting import seconds_until

RAISES = "def f():\n    raise ValueError('no such listing')\nf()\n"
WITNESSES = 200
# More than the journal takes of one service in its half minute, and more than there is room for.
FLOOD_MIB = 40
DAY = 86400


def logs(droplet: Droplet, *options: str) -> list[dict[str, Any]]:
    for name in ("backend", "redis"):
        droplet.run(["journalctl", f"--namespace={name}", "--sync"])
    return list(call(droplet, "deploy.logs", *options).value)


def says(droplet: Droplet, container: str, script: str) -> Result:
    """A shell script whose output is the container's own."""
    argv = ["docker", "exec", container, "sh", "-c", f"({script}) > /proc/1/fd/1 2> /proc/1/fd/2"]
    return droplet.run(argv, check=False, timeout=120)


def journals(droplet: Droplet, name: str) -> list[str]:
    """The finished files of a service's journal, oldest first."""
    found = droplet.run(["sh", "-c", f"ls /var/log/journal/*.{name}/system@*"], check=False).stdout.split()
    return sorted(found, key=lambda file: file.rsplit("-", 1)[1])


@pytest.fixture
def tidy(droplet: Droplet) -> Iterator[None]:
    """Redis's journal is small again afterwards."""
    yield
    droplet.run(["journalctl", "--namespace=redis", "--rotate", "--vacuum-size=1M"])


def test_an_error_in_the_bot_is_found_with_its_stack_trace_and_its_update_everywhere(
    droplet: Droplet, botapi: BotApi
) -> None:
    release = shipping.status(droplet)["live"]["release"]
    sql(droplet, "ALTER TABLE listings RENAME TO away")
    try:
        said = botapi.say("/browse", chat_id=77)
        seconds_until(lambda: logs(droplet, "service=backend", "level=error", "since=1m"), 20)
        found = logs(droplet, "service=backend", "level=error", "since=1m")[-1]
    finally:
        sql(droplet, "ALTER TABLE away RENAME TO listings")
    assert found["update_id"] == said["update_id"]
    assert found["release"] == release
    assert found["message"] == "update failed"
    trace = found["trace"].splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert any("UndefinedTable" in line for line in trace)

    # Telegram comes again, and then it works. It waits longer behind each attempt that failed: not here.
    botapi.advance(600)
    wanted = {("edge", "error"), ("backend", "error"), ("edge", "info"), ("backend", "info")}

    def missing() -> set[tuple[str, str, str]]:
        rows = logs(droplet, f"update_id={said['update_id']}")
        return {(*pair, release) for pair in wanted} - {
            (row["service"], row["level"], row["release"]) for row in rows
        }

    seconds_until(lambda: not missing(), 30, lambda: (missing(), botapi.deliveries(said["update_id"] - 1)))


def test_a_trace_of_many_plain_lines_is_whole(droplet: Droplet) -> None:
    container = inside.live(droplet)
    says(droplet, container, f'echo update_id=7 went wrong >&2; python3 -c "{RAISES}"')
    row = logs(droplet, "service=backend", "update_id=7", "since=1m")[-1]
    assert (row["level"], row["message"], row["source"]) == ("error", "update_id=7 went wrong", container)
    lines = row["trace"].splitlines()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "ValueError: no such listing")
    assert [line for line in lines if line.startswith("  File")] == [
        '  File "<string>", line 3, in <module>',
        '  File "<string>", line 2, in f',
    ]


def test_rows_on_a_terminal_and_what_is_wrong_with_arguments(droplet: Droplet) -> None:
    shown = droplet.run(["salt-call", "deploy.logs", "service=deploy", "since=1d", "lines=3"])
    assert " deploy   info " in shown.stdout
    assert "the last 3 of " in shown.stderr
    refused = call(droplet, "deploy.logs", "level=loud")
    assert "level is 'loud', expected one of debug, info" in refused.value["reason"]


def test_runs_of_salt_are_logged(droplet: Droplet) -> None:
    rows = logs(droplet, "service=salt", "since=1m", "lines=0")
    assert any("deploy.logs level=loud failed with exit code 1" in row["message"] for row in rows)


@pytest.mark.usefixtures("tidy")
def test_a_flood_pushes_out_nobody_else_and_its_own_loss_is_told(droplet: Droplet) -> None:
    container = inside.live(droplet)
    before = logs(droplet, "service=backend", "since=1d", "lines=0")[0]
    witness = f"for n in $(seq {WITNESSES}); do echo witness $n of {time.time():.0f}; sleep 0.02; done"
    with shipping.beside(droplet, lambda other: says(other, container, witness)):
        says(droplet, "redis", f"head -c {FLOOD_MIB}M /dev/urandom | base64 -w 1500")
    rows = logs(droplet, "service=backend", "since=5m", "lines=0")
    seen = [int(row["message"].split()[1]) for row in rows if row["message"].startswith("witness ")]
    assert seen == list(range(1, WITNESSES + 1))
    assert logs(droplet, "service=backend", "since=1d", "lines=0")[0] == before
    told: dict[str, Any] = {}

    def is_told() -> bool:
        told.update(call(droplet, "health.check").value["services"]["logs"])
        if told["status"] != "degraded":
            # Of a redis that has just said too much, the journal takes less for a while.
            says(droplet, "redis", f"head -c {FLOOD_MIB}M /dev/urandom | base64 -w 1500")
        return bool(told["status"] == "degraded")

    seconds_until(is_told, 120)
    assert told["detail"].startswith("the log of redis reaches back 0.0 days, not 14: its share of logs.size")
    checked = call(droplet, "health.logs")
    assert checked.returncode == 1
    assert checked.value["short"] == [told["detail"]]
    events = droplet.run(["sh", "-c", "cat /var/lib/marketplace/spool/*-redis-logs.short.json"]).stdout
    assert json.loads(events)["severity"] == "critical"


@pytest.mark.usefixtures("tidy")
def test_a_week_is_kept_and_what_is_older_than_the_days_is_gone(droplet: Droplet) -> None:
    now = time.time()
    kept = {}
    for days in (16, 13, 7):
        says(droplet, "redis", f"echo {days} days old")
        droplet.run(["journalctl", "--namespace=redis", "--rotate"])
        file = journals(droplet, "redis")[-1]
        kept[days] = file
        # journald believes the oldest that it finds: its own name for the file, or the file system's times.
        droplet.run(["touch", f"--date=@{now - days * DAY:.0f}", file])
    says(droplet, "redis", "echo today")
    droplet.run(["journalctl", "--namespace=redis", "--rotate"])
    there = journals(droplet, "redis")
    assert kept[7] in there
    assert kept[13] in there
    assert kept[16] not in there
    words = {row["message"] for row in logs(droplet, "service=redis", "since=10m")}
    assert {"7 days old", "13 days old", "today"} <= words
    assert "16 days old" not in words
