"""An outage is in the record with about its length, whatever becomes of the watchdog, and people see it in a table."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support import alerts
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.waiting import seconds_until

NOTICED = 45
"""Seconds: the edge needs some to find the backend gone, the next probe comes within 10, and the machine is busy."""
OFF_BY = 25
"""Seconds by which the record may be off: a probe stands for the time since the one before it, at either end."""


def told(droplet: Droplet) -> dict[str, Any]:
    """What health.slo says of today and yesterday, with the minute that is not over yet."""
    droplet.run(["systemctl", "restart", "marketplace-watch"])
    answer: dict[str, Any] = call(droplet, "health.slo", "2").value
    return answer


def said(droplet: Droplet, words: str, since: float) -> bool:
    shown = droplet.run(
        ["journalctl", "--unit=marketplace-watch", f"--since=@{since:.3f}", "--output=cat", "--no-pager"]
    )
    return words in shown.stdout


def questions(droplet: Droplet, since: float) -> int:
    """How often the droplet has asked itself how it is, by the edge's log."""
    rows = droplet.run(
        ["journalctl", "--namespace=edge", f"--since=@{since:.3f}", "--output=cat", "--no-pager"]
    ).stdout.splitlines()
    entries = (json.loads(row) for row in rows if row.startswith("{"))
    return sum(1 for entry in entries if entry["path"] == "/healthz" and entry["client"] == droplet.address())


def test_an_outage_is_in_the_record_with_about_its_length(droplet: Droplet, progress: Progress) -> None:
    before = told(droplet)
    backend = alerts.container(droplet, "backend")
    began = time.time()
    droplet.run(["docker", "stop", backend])
    try:
        seconds_until(lambda: said(droplet, "the bot can't be reached: it answers 503", began), NOTICED)
    finally:
        droplet.run(["docker", "start", backend])
    seconds_until(lambda: said(droplet, "the bot can be reached", began), NOTICED)
    took = time.time() - began
    after = told(droplet)
    recorded = 60 * (after["uptime"]["down_minutes"] - before["uptime"]["down_minutes"])
    progress.note(f"an outage of at most {took:.0f} s is recorded as one of {recorded:.0f} s")
    assert recorded == pytest.approx(took, abs=OFF_BY)
    assert after["uptime"]["probes"] - before["uptime"]["probes"] >= took / 20
    assert after["uptime"]["probes_failed"] > before["uptime"]["probes_failed"]
    assert after["longest_outage"]["minutes"] * 60 >= recorded - 1
    # Who reads the logs is not shown every probe, but what others ask.
    droplet.run(["curl", "--silent", "--insecure", f"https://{droplet.address()}/healthz"])
    seconds_until(lambda: questions(droplet, began) > 0, 10)
    assert questions(droplet, began) == 1


def test_people_see_tables(droplet: Droplet) -> None:
    for function, words in (("health.slo 1", "(goal 99.5%)"), ("deploy.history", "cut-over")):
        command = f"stty cols 80; LC_ALL=C.UTF-8 TERM=xterm salt-call --no-color {function}"
        shown = droplet.run(
            ["script", "--quiet", "--return", "--command", command, "/dev/null"], check=False
        ).stdout
        assert words in shown
        assert any(bar in shown for bar in "▁▂▃▄▅▆▇█")
        assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    status = call(droplet, "deploy.status").value
    assert "uptime in 30 days (goal 99.5%)" in status["slo"]
