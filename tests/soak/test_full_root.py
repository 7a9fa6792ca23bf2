"""A droplet whose root has not a byte left: what users notice, what an operator can do, and how it goes on.

The droplet has a disk of its own, all of it: with the one of this machine it would never be full.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.droplet.conftest import prepared
from tests.droplet.test_limits import started
from tests.support import alerts, shipping
from tests.support.alerts import Chat
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load import running
from tests.support.load.running import Load
from tests.support.waiting import seconds_until

DISK = 10 << 30
NAME = "small.test"
OWN_TOKEN = f"7000000003:{'f' * 35}"
RESERVE = "/var/lib/docker-reserve"
# What is free in one piece first, and the rest down to the last byte.
FILL = """
fallocate --length "$(df --output=avail --block-size=1 / | tail -1)" /var/filler
dd if=/dev/zero of=/var/filler2 bs=64k status=none
dd if=/dev/zero of=/var/filler3 bs=512 status=none
"""
TOLD = "no space left on device: make room (salt-call health.check"


@pytest.fixture(scope="module")
def droplet(site: Site, images: Images) -> Iterator[Droplet]:
    """A converged droplet with a second version to ship, and a bot of its own: its webhook is not another's."""
    local = pillar.local(site, images)
    local["secrets"] = local["secrets"] | {"telegram_token": {"value": OWN_TOKEN}}
    local["edge"] = {"domains": [NAME]}
    site.telegram(OWN_TOKEN).call("getMe")
    made = prepared(site, images, "small", local, DISK)
    made.run(["/srv/deploy/bootstrap.sh", "development"])
    site.backend("1.1.0")
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def users(droplet: Droplet, neighbour: Machine) -> Iterator[Load]:
    with running.users(neighbour, droplet, clients=20, rate=0.5, name=NAME) as load:
        yield load


def fill(droplet: Droplet) -> None:
    """The disk is full, all but what is kept back for Docker."""
    droplet.run(["sh", "-c", "rm -f /var/filler*"])
    assert call(droplet, "state.apply", "docker").failed == {}
    droplet.run(["test", "-e", RESERVE])
    droplet.run(["sh", "-c", FILL], check=False)
    assert free(droplet) == 0


def free(droplet: Droplet) -> int:
    return int(droplet.run(["df", "--output=avail", "--block-size=1", "/"]).stdout.split()[1])


def begun(droplet: Droplet, service: str) -> str:
    """What is another once the service was started again."""
    if service != "edge":
        return started(droplet, alerts.container(droplet, service))
    return droplet.run(["systemctl", "show", "--value", "--property=MainPID", "haproxy"]).stdout


def test_users_notice_nothing_of_a_root_without_a_free_byte(
    droplet: Droplet, site: Site, users: Load, note: Callable[[str], None]
) -> None:
    chat = Chat.from_now(site.alerts())
    users.pause_until(100)
    begun = time.time()
    with users.window():
        fill(droplet)
        told = chat.arrives("the disk of droplet is 100% full", 60)
        users.pause_until(300)
    assert free(droplet) == 0
    droplet.run(["test", "-e", RESERVE])
    assert alerts.all_well(droplet)
    found = users.in_windows()
    assert found.failed == 0, found
    note(f"root without a free byte: operators told after {told['at'] - begun:.0f} s; users: {found}")


@pytest.mark.parametrize(
    "function",
    [
        ("deploy.release", "1.1.0"),
        ("deploy.maintenance", "on"),
        ("settings.rotate", "webhook_secret"),
    ],
)
def test_what_cannot_be_done_without_room_is_refused_in_words(
    droplet: Droplet, users: Load, function: tuple[str, ...]
) -> None:
    before = shipping.live_colour(droplet)
    refused = call(droplet, *function)
    assert (refused.returncode, refused.value["outcome"]) == (1, "refused")
    assert TOLD in refused.value["reason"]
    assert "/var/lib/marketplace/" in refused.value["reason"]
    assert shipping.live_colour(droplet) == before
    # Who only asks is answered.
    assert call(droplet, "deploy.status").value["live"]["version"] == "1.0.0"
    assert call(droplet, "state.apply").failed == {}


@pytest.mark.parametrize("service", alerts.SERVICES)
def test_who_ends_on_a_full_disk_comes_back(
    droplet: Droplet, users: Load, note: Callable[[str], None], service: str
) -> None:
    fill(droplet)
    before = begun(droplet, service)
    with users.window():
        alerts.crash(droplet, service)
        took = seconds_until(lambda: begun(droplet, service) != before and alerts.well(droplet), 60)
    note(f"{service} ends on a full root: all well after {took:.0f} s")


def test_a_droplet_with_a_full_disk_boots(droplet: Droplet, users: Load, note: Callable[[str], None]) -> None:
    fill(droplet)
    with users.window():
        took = droplet.reboot()
        took += seconds_until(lambda: alerts.well(droplet), 60)
    # Docker has given up what was kept back for it.
    droplet.run(["test", "!", "-e", RESERVE])
    note(f"reboot with a full root: all well after {took:.0f} s")


def test_once_there_is_room_all_is_as_ever(
    droplet: Droplet, users: Load, note: Callable[[str], None]
) -> None:
    droplet.run(["sh", "-c", "rm /var/filler*"])
    applied = call(droplet, "state.apply")
    assert applied.failed == {}
    assert "Ensure some room is kept back for the engine" in applied.changed
    assert call(droplet, "state.apply").changed == {}
    shipping.shipped(shipping.release(droplet, "1.1.0"))
    users.pause_until(50)
    # What users were at with Redis went back to its last snapshot when that was killed.
    found = users.assert_lossless(droplet, failed=None, dialogues=False)
    note(f"all of it: {found}, 0 lost")
    shipping.assert_sound(droplet, "1.1.0")
