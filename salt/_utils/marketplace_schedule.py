"""The scheduled jobs that an image declares (docs/contract.md), and which of them are due. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from marketplace_cron import Cron, latest

LABEL = "marketplace.schedule"
EXAMPLE = '[{"name": "expire", "command": ["python", "-m", "bot.expire"], "time": "10 3 * * *"}]'
TIMEOUT = 600
LONGEST_TIMEOUT = 6 * 3600
# What could not start for so long (maintenance, another job, a droplet that was off) is left to its next time.
LATEST_START = timedelta(hours=1)
# Nobody is told of more than he can make up for, nor is every minute of a year gone through.
LONGEST_BACK = timedelta(days=7)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_KEYS = ("name", "command", "time", "timeout")


@dataclass(frozen=True)
class Job:
    """A job: ``command`` is its argv, ``time`` cron's five fields, ``timeout`` seconds that it may take."""

    name: str
    command: tuple[str, ...]
    time: str
    timeout: int = TIMEOUT

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Job":
        """The job in a journal's entry."""
        return cls(document["name"], tuple(document["command"]), document["time"], document["timeout"])


def parse_schedule(text: str) -> tuple[tuple[Job, ...], list[str]]:
    """Read the label ``marketplace.schedule``.

    Returns:
        The jobs; and what is wrong, in words. An empty label declares none.
    """
    if not text:
        return (), []
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        return (), [f"label {LABEL} is '{text}', expected a JSON list such as {EXAMPLE}"]
    jobs: list[Job] = []
    problems: list[str] = []
    for number, entry in enumerate(listed, 1):
        if not isinstance(entry, dict):
            problems.append(
                f"label {LABEL}: entry {number} is {json.dumps(entry)}, expected one such as in {EXAMPLE}"
            )
            continue
        wrong = _wrong(entry)
        name = entry.get("name")
        if not wrong and name in [job.name for job in jobs]:
            wrong = [f"its name is {name}, as that of another"]
        if wrong:
            known = f"job {name}" if isinstance(name, str) and name else f"entry {number}"
            problems += [f"label {LABEL}: {known}: {words}" for words in wrong]
        else:
            jobs.append(Job.from_dict({"timeout": TIMEOUT, **entry}))
    return tuple(jobs), problems


def _wrong(entry: Mapping[str, Any]) -> list[str]:
    """What is wrong with one entry."""
    problems = [
        f"{key} is no key of a job; there are: {', '.join(_KEYS)}" for key in entry if key not in _KEYS
    ]
    name, command, time = (entry.get(key) for key in ("name", "command", "time"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.append(
            f"name is {json.dumps(name)}, expected small letters, digits and dashes, such as expire"
        )
    words = command if isinstance(command, list) else []
    if not words or not all(isinstance(word, str) for word in words):
        problems.append(
            f'command is {json.dumps(command)}, expected a list of strings such as ["python", "-m", "bot.expire"]'
        )
    try:
        Cron.parse(time if isinstance(time, str) else "")
    except ValueError as error:
        problems.append(f"time {json.dumps(time)} {error}, such as '10 3 * * *'")
    timeout = entry.get("timeout", TIMEOUT)
    if isinstance(timeout, bool) or not isinstance(timeout, int) or not 1 <= timeout <= LONGEST_TIMEOUT:
        problems.append(f"timeout is {json.dumps(timeout)}, expected seconds from 1 to {LONGEST_TIMEOUT}")
    return problems


def due(
    jobs: Iterable[Job], zone: ZoneInfo, looked: datetime, now: datetime, waiting: Mapping[str, datetime]
) -> dict[str, datetime]:
    """Which jobs are due, and since when, the longest first. Several times that have passed are one, the last.

    One that is due for longer than ``LATEST_START`` is no longer to be started: it was missed.

    Args:
        looked: when this was last asked; now: the time; both aware.
        waiting: those that were due then already.
    """
    since = max(looked, now - LONGEST_BACK)
    found = {
        job.name: waiting.get(job.name) or latest(Cron.parse(job.time), zone, since, now) for job in jobs
    }
    return {name: at for at, name in sorted((at, name) for name, at in found.items() if at is not None)}
