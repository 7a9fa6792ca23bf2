"""Every container floods the journals for minutes: nobody else loses a line. Nor does a reboot cost one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import inside, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.running import Load

FLOOD_SECONDS = 120
SERVICES = ("postgres", "redis", "backend")
MIB = 2**20


def container(droplet: Droplet, service: str) -> str:
    return inside.live(droplet) if service == "backend" else service


def says(droplet: Droplet, service: str, script: str) -> Any:
    argv = ["docker", "exec", container(droplet, service), "sh", "-c", f"({script}) > /proc/1/fd/1"]
    return droplet.run(argv, check=False, timeout=FLOOD_SECONDS + 60)


def words(droplet: Droplet, service: str) -> list[str]:
    rows = call(droplet, "deploy.logs", f"service={service}", "since=1h", "lines=0").value
    return [row["message"] for row in rows if row["message"].startswith("witness ")]


@pytest.fixture
def tidy(droplet: Droplet, service: str) -> Iterator[None]:
    """The service's journal is small again afterwards: a full one is in the news as long as it is."""
    yield
    droplet.run(["journalctl", f"--namespace={service}", "--rotate", "--vacuum-size=1M"])


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("tidy")
@pytest.mark.parametrize("service", SERVICES)
def test_a_flood_of_minutes_is_its_own_services_loss_alone(
    droplet: Droplet, load: Callable[..., Load], note: Callable[[str], None], service: str
) -> None:
    users = load(20, 0.5)
    others = [name for name in SERVICES if name != service]
    mark = f"{time.time():.0f}"
    line = f"a flood of {service} " + "x" * 200
    # Many times what its journal takes, but with pauses, so that the service itself still gets its processor.
    burst = f"yes '{line}' | head -n 4500; sleep 0.3"
    # It ends by itself: what is cut off half way would have the next line behind it, and PostgreSQL, the first process
    # of its container, takes an orphan that a signal ends for one of its own, and restarts.
    over = f"$(($(date +%s) + {FLOOD_SECONDS}))"
    flood = f"over={over}; while [ $(date +%s) -lt $over ]; do {burst}; done"
    with shipping.beside(droplet, lambda other: says(other, service, flood)):
        for number in range(FLOOD_SECONDS // 3):
            for other in others:
                said = says(droplet, other, f"echo witness {mark} {number}")
                assert said.ok, said
            time.sleep(1)
            written = number
    for other in others:
        assert words(droplet, other)[-written - 1 :] == [f"witness {mark} {n}" for n in range(written + 1)]
    size = json.loads(droplet.get("/etc/marketplace/settings.json"))["logs"]["size"]
    used = int(droplet.run(["du", "--summarize", "--block-size=1", "/var/log/journal"]).stdout.split()[0])
    # A journal that is nearly empty takes 8 MiB at once, whatever its share.
    assert used <= size + 8 * MIB
    found = users.assert_lossless(droplet)
    note(f"a flood of {service}: {written + 1} of {written + 1} lines of each other kept, {found}")


def test_what_was_said_before_a_reboot_is_there_after_it(droplet: Droplet) -> None:
    mark = f"{time.time():.0f}"
    for service in SERVICES:
        says(droplet, service, f"echo witness {mark} of {service}")
    droplet.reboot()
    for service in SERVICES:
        assert f"witness {mark} of {service}" in words(droplet, service)
