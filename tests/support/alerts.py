"""What the watchdog says on a droplet, and what arrives in the operators' chat."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call

SERVICES = ("backend", "postgres", "redis", "edge")
WATCHED = "/run/marketplace/watch.json"
CLOCK = "host.clock/droplet"
"""A local droplet has no time server in reach, and says so after an hour."""
BUDGET = "slo.budget/edge"
"""Tests take more downtime in an hour than 30 days allow."""
_ALWAYS = {CLOCK: "follows no time server", BUDGET: "30 days allow"}


@dataclass(frozen=True)
class Chat:
    """The operators' chat from some moment on."""

    bot: BotApi
    after: int

    @classmethod
    def from_now(cls, bot: BotApi) -> Chat:
        last = bot.messages()
        return cls(bot, last[-1]["sequence"] if last else 0)

    def said(self, *contains: str) -> list[dict[str, Any]]:
        """The messages since then, oldest first, in which one alert has all these words."""
        return [
            message
            for message in self.bot.messages(after=self.after)
            if any(all(words in alert for words in contains) for alert in _alerts(message["text"]))
        ]

    def arrives(self, contains: str | tuple[str, ...], limit: float) -> dict[str, Any]:
        """The first message in which one alert has these words, which has to come within ``limit`` seconds."""
        wanted = (contains,) if isinstance(contains, str) else contains
        deadline = time.monotonic() + limit
        while True:
            newest = max((message["sequence"] for message in self.bot.messages(after=self.after)), default=0)
            found = self.said(*wanted)
            if found:
                return found[0]
            left = deadline - time.monotonic()
            assert left > 0, (
                f"no message with {wanted} within {limit:g} s, but {[m['text'] for m in self.said()]}"
            )
            self.bot.messages(after=max(newest, self.after), wait=min(left, 60))


def _alerts(text: str) -> list[str]:
    """The alerts of a message, each with its mark, without those that always come."""
    alerts = re.split("^(?=[🔴🟠🔵🟢])", text, flags=re.MULTILINE)
    return [alert for alert in alerts if alert and not any(words in alert for words in _ALWAYS.values())]


def active(droplet: Droplet) -> dict[str, dict[str, Any]]:
    """What people have to hear of, by name and service."""
    known = json.loads(droplet.get(WATCHED))["alerts"]
    told = {f"{one['finding']['name']}/{one['finding']['service']}": one for one in known}
    return {name: one for name, one in told.items() if name not in _ALWAYS}


def well(droplet: Droplet) -> bool:
    """Whether each of the services that users need is healthy."""
    found = _statuses(droplet)
    return all(found[name] == "healthy" for name in SERVICES)


def all_well(droplet: Droplet) -> bool:
    """Whether every service is healthy, logs included."""
    return all(status == "healthy" for status in _statuses(droplet).values())


def _statuses(droplet: Droplet) -> dict[str, str]:
    found: dict[str, str] = call(droplet, "health.check", "brief=True").value["services"]
    return found


def container(droplet: Droplet, service: str) -> str:
    """The container of a service."""
    return f"backend-{shipping.live_colour(droplet)}" if service == "backend" else service


def processes(droplet: Droplet, service: str) -> list[str]:
    """Process ids of a service, the first one first."""
    if service == "edge":
        shown = droplet.run(
            ["cat", "/sys/fs/cgroup/systemd/system.slice/haproxy.service/cgroup.procs"], check=False
        )
        if not shown.ok:
            shown = droplet.run(["cat", "/sys/fs/cgroup/system.slice/haproxy.service/cgroup.procs"])
        return shown.stdout.split()
    return droplet.run(["docker", "top", container(droplet, service), "-eo", "pid"]).stdout.split()[1:]


def freeze(droplet: Droplet, service: str) -> None:
    """A service is alive, and does nothing more."""
    _signal(droplet, service, "STOP")


def crash(droplet: Droplet, service: str) -> None:
    """A service ends by itself, at once."""
    _signal(droplet, service, "KILL")


def _signal(droplet: Droplet, service: str, name: str) -> None:
    # A health check that was among the processes may be over by now.
    droplet.run(["kill", f"-{name}", *processes(droplet, service)], check=False)
