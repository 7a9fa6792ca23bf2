"""What a droplet that is off takes is downtime, though nobody looked; what the watchdog alone takes is not."""

from __future__ import annotations

import time

import pytest

from tests.droplet.test_slo import told
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.waiting import seconds_until

OFF = 90
"""Seconds."""
OFF_BY = 30
"""Seconds by which the record may be off: the journal's last word and the first look are some apart from the truth."""


def test_a_droplet_that_is_off_is_down(droplet: Droplet) -> None:
    # Nobody misses what has never been there: an outage counts from the first probe on that went well.
    seconds_until(lambda: droplet.run(["test", "-d", "/var/lib/marketplace/slo"], check=False).ok, 300)
    before = told(droplet)["uptime"]
    began = time.time()
    droplet.shutdown()
    time.sleep(OFF)
    droplet.boot()
    seconds_until(lambda: call(droplet, "health.check", "brief=True").returncode == 0, 240)
    took = time.time() - began
    time.sleep(20)  # until the next probe
    after = told(droplet)["uptime"]
    assert 60 * (after["down_minutes"] - before["down_minutes"]) == pytest.approx(took, abs=OFF_BY)


def test_a_watchdog_that_is_off_alone_is_no_downtime_but_an_edge_is(droplet: Droplet) -> None:
    before = told(droplet)["uptime"]
    droplet.run(["systemctl", "stop", "marketplace-watch"])
    time.sleep(60)
    droplet.run(["systemctl", "stop", "haproxy"])
    time.sleep(30)
    droplet.run(["systemctl", "start", "haproxy"])
    time.sleep(30)
    droplet.run(["systemctl", "start", "marketplace-watch"])
    time.sleep(30)
    after = told(droplet)["uptime"]
    assert 60 * (after["down_minutes"] - before["down_minutes"]) == pytest.approx(30, abs=10)
    assert 60 * (after["unknown_minutes"] - before["unknown_minutes"]) == pytest.approx(90, abs=25)
