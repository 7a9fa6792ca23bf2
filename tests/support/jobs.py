"""Scheduled jobs over the droplet in memory: a version that has some, cron's looks, and what came of them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from marketplace_job_records import JobRecords, JobRun
from marketplace_jobs import tick
from marketplace_progress import Progress

from tests.simulation.droplet import Droplet
from tests.simulation.images import DIGEST_1, DIGEST_2, LABELS, Image, chain
from tests.simulation.operations import run, shipping

OFTEN = {"name": "often", "command": ["tidy", "$HOME"], "time": "*/5 * * * *", "timeout": 60}
HOURLY = {"name": "hourly", "command": ["count"], "time": "30 * * * *"}


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


def labels(*jobs: dict[str, Any]) -> dict[str, str]:
    return LABELS | {"marketplace.schedule": json.dumps(jobs)}


@pytest.fixture(name="droplet")
def droplet_with_jobs(droplet: Droplet) -> Droplet:
    """Version 1.0.0 is live and has two jobs, 1.1.0 has one of them."""
    droplet.settings["backend"]["soak"] = 2
    droplet.push("1.0.0", Image(DIGEST_1, labels=labels(OFTEN, HOURLY)))
    droplet.push("1.1.0", Image(DIGEST_2, chain("0001", "0002"), labels(HOURLY)))
    ship(droplet, "1.0.0")
    wait(droplet, "00:02")
    look(droplet)
    return droplet


def ship(droplet: Droplet, version: str, **how: Any) -> str:
    record = run(droplet, shipping(droplet, version, **how)).record
    assert record.outcome == "live", record.reason
    return record.release


def wait(droplet: Droplet, until: str) -> None:
    """Let time pass until the clock on the wall says so, on whatever day comes next."""
    goal = datetime.strptime(until, "%H:%M").replace(tzinfo=droplet.clock.now().tzinfo)
    droplet.clock.seconds += (goal - droplet.clock.now().replace(year=1900, month=1, day=1)).total_seconds()
    droplet.docker.tick()


def look(droplet: Droplet) -> list[str]:
    """Cron's look; what it says."""
    said = Said()
    tick(droplet.world, droplet.settings, said)
    return said.lines


def jobs(droplet: Droplet) -> set[str]:
    return {name for name in droplet.running if name.startswith("job-")}


def last(droplet: Droplet, name: str) -> JobRun:
    found = JobRecords(droplet.paths.jobs, droplet.disk).last(name)
    assert found is not None
    return found


def events(droplet: Droplet) -> list[str]:
    return [event.summary for event in droplet.world.spool.pending() if event.kind == "job.failed"]


def missed(droplet: Droplet) -> list[str]:
    return [event.summary for event in droplet.world.spool.pending() if event.kind == "job.missed"]
