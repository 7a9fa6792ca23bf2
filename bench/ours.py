"""What our own releases and rollbacks cost."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.errors import DropletError
from tests.support.droplet.progress import Progress
from tests.support.waiting import seconds_until

VERSIONS = ("1.1.1", "1.1.2")
OTHERS = ("pull", "schema", "migrate", "start", "wait", "soak", "drain")
"""Steps whose time is the registry's, the application's (its migration tool, its start, its stop) or the operator's."""
ENGINE = "/opt/salt/bin/python"
LEDGER = Path(__file__).with_name("on_droplet_ledger.py")
WATCH = Path(__file__).with_name("on_droplet_watch.py")


@dataclass(frozen=True)
class Release:
    """One release: seconds for its caller, in its record, and of each step."""

    caller: float
    recorded: float
    steps: dict[str, float]

    @classmethod
    def of(cls, answer: Any) -> Release:
        """From what deploy.release answered; raises AssertionError unless it went well."""
        record = shipping.shipped(answer)
        steps = {step["name"]: float(step["seconds"]) for step in record["steps"]}
        return cls(answer.seconds, float(record["seconds"]), steps)

    @property
    def overhead(self) -> float:
        """Seconds that are our own, from the caller's command to its answer."""
        return self.caller - sum(self.steps.get(name, 0.0) for name in OTHERS)

    @property
    def asking(self) -> float:
        """Seconds in which the image's migration tool told what there is to migrate."""
        return self.steps.get("schema", 0.0)

    @property
    def start(self) -> float:
        """Seconds that the application took to start and to be ready."""
        return self.steps["start"] + self.steps["wait"]


@dataclass(frozen=True)
class Rollback:
    """One rollback: seconds from the command to the cut-over, and of them the application's own start."""

    cutover: float
    start: float


def other(droplet: Droplet) -> str:
    """The version of the two that is not live."""
    return VERSIONS[1] if shipping.status(droplet)["live"]["version"] == VERSIONS[0] else VERSIONS[0]


def releases(droplet: Droplet, runs: int, records: int, progress: Progress) -> list[Release]:
    """Ship so many times, with a ledger of so many records and nobody using the bot."""
    keep_records(droplet, records)
    found = []
    for _ in range(runs):
        version = other(droplet)
        found.append(Release.of(shipping.release(droplet, version, "soak=0")))
        progress.note(f"{records} records: {found[-1].caller:.1f} s, of it ours {found[-1].overhead:.2f} s")
    return found


def keep_records(droplet: Droplet, count: int) -> None:
    """Make the ledger ``count`` records long: older ones are left out, or invented before the first."""
    droplet.run([ENGINE, "-", str(count)], stdin=LEDGER.read_bytes())
    found = shipping.status(droplet)["ledger"]
    if found != {"releases": count, "broken": []}:
        raise DropletError(f"the ledger has not become {count} records long: {found}")


def warm_rollback(droplet: Droplet) -> Rollback:
    """Take a release back while it soaks: the old colour still runs."""
    live = shipping.live_colour(droplet)
    version = other(droplet)
    with shipping.beside(droplet, lambda beside: shipping.release(beside, version, "soak=60")) as (answer,):
        seconds_until(lambda: answer.done() or _soaks(droplet), 120)
        found = _timed_rollback(droplet, live)
        if answer.result().value["outcome"] != "rolled_back":
            raise DropletError(f"it was not taken back: {answer.result()}")
    return Rollback(found[0], 0.0)


def cold_rollback(droplet: Droplet) -> Rollback:
    """Go back when the old colour has been stopped."""
    shipping.shipped(shipping.release(droplet, other(droplet), "soak=0"))
    colour = "green" if shipping.live_colour(droplet) == "blue" else "blue"
    seconds, record = _timed_rollback(droplet, colour)
    if record["outcome"] != "live":
        raise DropletError(f"it did not go back: {record}")
    steps = {step["name"]: float(step["seconds"]) for step in record["steps"]}
    return Rollback(seconds, steps["start"] + steps["wait"])


def _timed_rollback(droplet: Droplet, colour: str) -> tuple[float, dict[str, Any]]:
    """Go back, and how long after the command ``colour`` was live; and the answer."""
    with shipping.beside(
        droplet, lambda beside: beside.run([ENGINE, "-", colour], stdin=WATCH.read_bytes()).stdout
    ) as (moment,):
        started = time.time()
        answer = shipping.rollback(droplet, "soak=0")
        return float(moment.result()) - started, answer.value


def _soaks(droplet: Droplet) -> bool:
    try:
        return bool(json.loads(droplet.get(shipping.JOURNAL))["step"] == "soak")
    except FileNotFoundError:
        return False
