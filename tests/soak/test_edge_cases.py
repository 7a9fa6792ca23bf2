"""Edge cases of the specification with users on: what they notice of each, and that they lose nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.droplet.test_limits import started
from tests.support import alerts, shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.running import Load
from tests.support.load.state import Stores
from tests.support.waiting import delivered, seconds_until

Note = Callable[[str], None]
RATE = 4
"""Messages a second that users write meanwhile."""
CRASHES = 5
FILLERS = {1_000_000: 8, 10_000: 200, 100: 2000}
"""Bytes of a value that fills Redis, and how many are enough for what the larger ones have left free."""
_CUT = """
table inet outage {
    chain in { type filter hook prerouting priority -350; iifname "eth0" drop; }
    chain out { type filter hook output priority -350; oifname "eth0" drop; }
    chain through { type filter hook postrouting priority -350; oifname "eth0" drop; }
}
"""


@contextlib.contextmanager
def no_network(droplet: Droplet) -> Iterator[None]:
    """Not one packet comes in or goes out inside the block."""
    droplet.run(["nft", "-f", "-"], stdin=_CUT)
    try:
        yield
    finally:
        droplet.run(["nft", "delete", "table", "inet", "outage"])


@pytest.mark.parametrize("minutes", [1, 5, 15])
@pytest.mark.timeout(2400)
def test_the_network_is_lost(droplet: Droplet, botapi: BotApi, note: Note, minutes: int) -> None:
    count = (minutes * 60 + 30) * RATE
    load = botapi.load(count=count, rate=RATE, chats=20, texts=("/browse",))
    with no_network(droplet):
        time.sleep(minutes * 60)  # How long it lasts is the test's input, not something to wait for.
        waiting = botapi.stats()["updates"]["pending"]
    back = time.monotonic()
    figures = delivered(botapi, load, 900)["stats"]
    took = time.monotonic() - back
    assert waiting > minutes * 60 * RATE * 0.9
    lost = max(figures["updates"]["dropped"], count - figures["updates"]["delivered"])
    note(
        f"network lost for {minutes} min: {waiting} messages waited at Telegram; "
        f"all {count} were over {took:.0f} s after it was back, {lost} lost"
    )
    assert lost == 0
    seconds_until(lambda: alerts.well(droplet), 60)


def test_redis_is_at_its_limit_of_memory(droplet: Droplet, load: Callable[..., Load], note: Note) -> None:
    """Nothing is thrown out to make room: what cannot be stored is refused, the user writes again, and it is stored."""
    cache, name = Stores.of(droplet).cache, alerts.container(droplet, "redis")
    settings = json.loads(droplet.get("/etc/marketplace/settings.json"))
    before = started(droplet, name)
    users = load(20, 0.5)
    users.pause_until(50)
    largest = max(FILLERS)
    count = FILLERS | {largest: FILLERS[largest] + settings["redis"]["maxmemory"] // largest}
    keys = {size: [f"filler:{size}:{number}" for number in range(count[size])] for size in FILLERS}
    with users.window():
        for size in FILLERS:
            answers = cache("".join(f"SETRANGE {key} {size} x\n" for key in keys[size]))
            assert "OOM command not allowed" in answers, (size, answers[-500:])
        failed = len([entry for entry in users.entries() if not entry.ok])
        seconds_until(lambda: len([entry for entry in users.entries() if not entry.ok]) > failed, 60)
        words = call(droplet, "health.check").value["services"]["redis"]["detail"]
        cache("".join(f"DEL {key}\n" for some in keys.values() for key in some))
    users.pause_until(100)
    assert started(droplet, name) == before
    found = users.assert_lossless(droplet, failed=None)
    assert found.failed > 0
    seconds_until(lambda: alerts.well(droplet), 60)
    note(f"Redis at its limit of memory ({words}): {users.in_windows()}; nothing thrown out, 0 lost")


@pytest.mark.timeout(1200)
def test_postgres_crashes_under_high_load(droplet: Droplet, load: Callable[..., Load], note: Note) -> None:
    users = load(100, 0.6)
    for _ in range(CRASHES):
        users.pause_until(300)
        with users.window():
            before = started(droplet, "postgres")
            alerts.crash(droplet, "postgres")
            seconds_until(lambda before=before: started(droplet, "postgres") != before, 30)
            seconds_until(lambda: alerts.well(droplet), 60)
    found = users.assert_lossless(droplet, failed=None)
    assert set(found.failures) <= {"HTTP 500", "HTTP 503"}, found
    note(f"PostgreSQL killed {CRASHES} times under 100 users: {users.in_windows()}; 0 lost")
    shipping.assert_sound(droplet)
