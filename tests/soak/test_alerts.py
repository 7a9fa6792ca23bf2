"""Every service stopped, killed, hung and starved: how soon that is seen, told, put right, and told to be over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.support import alerts
from tests.support.alerts import Chat
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.waiting import seconds_until

Note = Callable[[str], None]
pytestmark = [pytest.mark.timeout(2400), pytest.mark.usefixtures("calm")]

DETECTED, HEALED, TOLD, OVER = 15, 30, 45, 150
RECOVERED = 5
"""Seconds from the end of a process until the next one does its work: it can start at once."""
QUIET = 600
# Where each file system is, and how large the tests' are.
DISKS = {
    "postgres": "/srv/data/postgres",
    "redis": "/srv/data/redis",
    "backups": "/var/backups/marketplace",
}


def stop(droplet: Droplet, service: str) -> None:
    """Somebody stops a service in order."""
    if service == "edge":
        droplet.run(["systemctl", "stop", "haproxy"])
    else:
        droplet.run(["docker", "stop", alerts.container(droplet, service)])


def put_right(droplet: Droplet, service: str) -> None:
    """What the alert says to type."""
    words = ["deploy.resume"] if service == "backend" else ["state.apply"]
    assert call(droplet, *words).returncode == 0


def runs_since(droplet: Droplet, service: str) -> float:
    """When a service that does its work was started; 0 while it does not yet."""
    shown = "{{.State.Health.Status}} {{.State.StartedAt}}"
    told = droplet.run(["docker", "inspect", f"--format={shown}", alerts.container(droplet, service)])
    status, started = told.stdout.split()
    works = status == "healthy"
    if service == "backend":  # Its own check is made every five seconds.
        ask = ["curl", "-skf", "--max-time", "1", "https://127.0.0.1:8443/health/ready"]
        works = droplet.run(ask, check=False).ok
    return datetime.fromisoformat(started).timestamp() if works else 0.0


@pytest.mark.parametrize("service", alerts.SERVICES)
@pytest.mark.parametrize("way", [stop, alerts.crash, alerts.freeze], ids=["stopped", "killed", "hung"])
def test_every_service_every_way(
    droplet: Droplet, chat: Chat, note: Note, service: str, way: Callable[[Droplet, str], None]
) -> None:
    # What was restarted stays in the news: the next one is told by another name.
    ended = {f"service.restarted/{service}", f"service.crash_loop/{service}"}
    names = ended if way is alerts.crash else {f"service.down/{service}"}
    begun = time.time()
    way(droplet, service)
    if way is alerts.crash and service == "edge":
        # systemd has it back before anybody could see it gone, and is asked twice a minute.
        healed = seconds_until(lambda: alerts.all_well(droplet), RECOVERED)
        told = chat.arrives("edge ended by itself", 35 + TOLD)
        note(f"killed {service}: well again after {healed:.1f} s, told after {told['at'] - begun:.0f} s")
        return
    if way is alerts.crash:
        recovered = seconds_until(lambda: runs_since(droplet, service) > begun, RECOVERED)
        note(f"killed {service}: well again after {recovered:.1f} s")
    seconds_until(lambda: names & alerts.active(droplet).keys(), DETECTED)
    seen = time.time() - begun
    if way is stop:
        told = chat.arrives(f": {service}</b>", TOLD)
        put_right(droplet, service)
    seconds_until(lambda: alerts.all_well(droplet), HEALED)
    healed = time.time() - begun
    if way is not stop:
        assert healed < HEALED
        told = chat.arrives(f": {service}</b>", TOLD)
    row = f"seen after {seen:.0f} s, told after {told['at'] - begun:.0f} s, well again after {healed:.0f} s"
    if way is not alerts.crash:  # That something was restarted stays in the news for ten minutes.
        over = chat.arrives((f": {service}</b>", "over: "), OVER)
        row += f", told to be over after {over['at'] - begun:.0f} s"
    note(f"{service}: {row}")


def test_a_backend_that_is_not_well_while_all_it_needs_is_gets_one_restart(
    droplet: Droplet, chat: Chat, note: Note
) -> None:
    psql = ["docker", "exec", "postgres", "psql", "-qX", "-U", "postgres", "marketplace", "-c"]
    begun = time.time()
    droplet.run([*psql, "ALTER TABLE listings RENAME TO listings_away"])
    try:
        told = chat.arrives("has said for", 120)
        assert "that it is not well: it was restarted" in told["text"]
        note(f"backend without a table: restarted after {told['at'] - begun:.0f} s")
        time.sleep(90)  # Another restart would not help it.
        assert len(chat.said("it was restarted")) == 1
    finally:
        droplet.run([*psql, "ALTER TABLE listings_away RENAME TO listings"])


def test_every_service_starved_at_the_same_time(droplet: Droplet, chat: Chat, note: Note) -> None:
    spin = "for n in 1 2 3; do timeout 480 sh -c 'while :; do :; done' & done; wait"
    begun = time.time()
    for service in ("postgres", "redis", "backend"):
        droplet.run(["docker", "exec", "--detach", alerts.container(droplet, service), "sh", "-c", spin])
    for service in ("postgres", "redis", "backend"):
        told = chat.arrives(f"{service} has used", 400)
        note(f"resource.cpu, {service} starved: told after {told['at'] - begun:.0f} s")
    # The largest consumers are named.
    assert "most of it: " in chat.arrives("the droplet has used", 60)["text"]
    for service in ("postgres", "redis", "backend"):
        chat.arrives(f"over: {service} has used", 600)


@pytest.mark.parametrize("name", DISKS)
def test_every_disk_at_81_percent(droplet: Droplet, chat: Chat, note: Note, name: str) -> None:
    path = DISKS[name]
    used, free = (
        int(word)
        for word in droplet.run(["df", "--output=used,avail", "--block-size=1", path]).stdout.split()[2:]
    )
    # It is rounded up to whole blocks, and told rounded to whole percents.
    size = int(0.81 * (used + free)) - used + (2 << 20)
    begun = time.time()
    droplet.run(["fallocate", "-l", str(size), f"{path}/fill"])
    try:
        told = chat.arrives(f"the disk of {name} is 81% full", 60)
    finally:
        droplet.run(["rm", "-f", f"{path}/fill"])
    over = chat.arrives(f"over: the disk of {name}", OVER)
    note(f"{name}: told after {told['at'] - begun:.0f} s, over after {over['at'] - begun:.0f} s")


def test_memory_that_is_eaten(droplet: Droplet, chat: Chat, note: Note) -> None:
    eat = "head -c 320M /dev/zero | tail -c 320M | sleep 200"
    begun = time.time()
    droplet.run(["docker", "exec", "--detach", "redis", "sh", "-c", eat])
    told = chat.arrives("redis uses", 240)
    note(f"resource.memory: told after {told['at'] - begun:.0f} s")
    assert "of 384M" in told["text"]
    chat.arrives("over: redis uses", 400)


def test_a_droplet_that_is_well_is_silent(droplet: Droplet, chat: Chat, note: Note) -> None:
    time.sleep(QUIET)
    assert chat.said() == []
    shown = droplet.run(
        ["systemctl", "show", "marketplace-watch", "prometheus-alertmanager", "--property=MainPID", "--value"]
    ).stdout.split()
    for name, pid in zip(("watchdog", "Alertmanager"), shown, strict=True):
        lines = droplet.get(f"/proc/{pid}/status").decode().splitlines()
        figures = {
            line.split(":")[0]: int(line.split()[1]) // 1024
            for line in lines
            if line.startswith(("VmRSS", "RssAnon"))
        }
        note(f"{name}: {figures['VmRSS']} MB, of which {figures['RssAnon']} MB its own")
