"""Reboots, kills and stops: everything comes back by itself, in order, and the edge says what is wrong meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.waiting import delivered, seconds_until

HEALTHZ = ["curl", "--silent", "--insecure", "--max-time", "3", "--write-out", "\n%{http_code}",
           "https://127.0.0.1/healthz"]  # fmt: skip


def healthz(droplet: Droplet) -> tuple[int, dict[str, Any]]:
    """Status and document of the edge's health page; status 0 while nobody answers."""
    answer = droplet.run(HEALTHZ, check=False)
    body, _, status = answer.stdout.rpartition("\n")
    return (int(status), json.loads(body)) if answer.ok and body else (0, {})


def healthy(droplet: Droplet) -> bool:
    status, document = healthz(droplet)
    return status == 200 and document["status"] == "healthy"


def live_backend(droplet: Droplet) -> str:
    return "backend-" + droplet.get("/var/lib/marketplace/live.map").decode().split()[1]


def test_health_names_every_service(droplet: Droplet) -> None:
    status, document = healthz(droplet)
    assert status == 200
    assert document == {
        "status": "healthy",
        "services": {"backend": "healthy", "postgres": "healthy", "redis": "healthy"},
    }
    checked = call(droplet, "health.check", "brief=True")
    assert checked.returncode == 0
    assert checked.value["services"] == dict.fromkeys(
        ("backend", "edge", "logs", "postgres", "redis"), "healthy"
    )


@pytest.mark.parametrize("service", ["redis", "postgres"])
def test_stopped_service_is_named_within_15_seconds_and_clears(
    droplet: Droplet, note: Callable[[str], None], service: str
) -> None:
    droplet.run(["docker", "stop", service])
    try:
        named = seconds_until(lambda: healthz(droplet)[1].get("services", {}).get(service) == "unhealthy", 15)
        seconds_until(lambda: healthz(droplet)[0] == 503, 15)
        checked = call(droplet, "health.check").value
        assert checked["status"] in ("degraded", "unhealthy")
        words = checked["services"][service]["detail"]
        assert service in words
        assert "exited" in words
    finally:
        restored = call(droplet, "state.apply")
    assert restored.failed == {}
    cleared = seconds_until(lambda: healthy(droplet), 15)
    note(f"{service}: named after {named:.1f} s, cleared {cleared:.1f} s after it was started")


@pytest.mark.parametrize("service", ["redis", "postgres", "backend"])
def test_killed_service_is_healthy_again_within_30_seconds(
    droplet: Droplet, note: Callable[[str], None], service: str
) -> None:
    name = live_backend(droplet) if service == "backend" else service
    inspect = [
        "docker",
        "inspect",
        "--format",
        "{{.State.Pid}} {{.RestartCount}} {{.State.Health.Status}}",
        name,
    ]
    pid, restarts, _ = droplet.run(inspect).stdout.split()
    droplet.run(["kill", "-KILL", pid])

    def again() -> bool:
        new_pid, new_restarts, health = droplet.run(inspect).stdout.split()
        started = new_pid not in ("0", pid) and int(new_restarts) > int(restarts)
        return started and health == "healthy" and healthy(droplet)

    note(f"{service}: healthy {seconds_until(again, 30):.1f} s after SIGKILL")


def test_reboot_under_load_stops_in_order_and_comes_back(
    droplet: Droplet, botapi: BotApi, note: Callable[[str], None]
) -> None:
    load = botapi.load(count=300, rate=20, chats=10, texts=("/browse",))
    # The kernel is the host's, so a container's reboot is no new boot to the journal: the time tells them apart.
    since = droplet.run(["date", "+%s"]).stdout.strip()
    started = time.monotonic()
    droplet.reboot()
    back = seconds_until(lambda: healthy(droplet), 60 - (time.monotonic() - started))
    note(
        f"healthy {time.monotonic() - started:.1f} s after the reboot was asked for ({back:.1f} s after it was up)"
    )
    fields = "--output-fields=MESSAGE,_NAMESPACE"
    every = ["journalctl", "--namespace=*", f"--since=@{since}", "--no-pager"]
    journal = droplet.run([*every, "--output=json", fields]).stdout
    lines = [json.loads(line) for line in journal.splitlines()]
    position = {
        "backend": _find(lines, None, "Stopped marketplace-backend.service"),
        "postgres": _find(lines, "postgres", "database system is shut down"),
        "redis": _find(lines, "redis", "DB saved on disk"),
    }
    assert position["backend"] < position["postgres"]
    assert position["backend"] < position["redis"]
    assert "database system was not properly shut down" not in journal
    assert delivered(botapi, load)["stats"]["updates"]["delivered"] == 300
    assert call(droplet, "state.apply").changed == {}
    assert droplet.run(["systemctl", "--failed", "--quiet", "--plain", "--no-legend"]).stdout.strip() == ""


def _find(lines: list[dict[str, Any]], journal: str | None, words: str) -> int:
    found = [
        number
        for number, line in enumerate(lines)
        if line.get("_NAMESPACE") == journal and words in str(line.get("MESSAGE"))
    ]
    assert found, f"{journal or 'the host'} never said '{words}'"
    return found[-1]
