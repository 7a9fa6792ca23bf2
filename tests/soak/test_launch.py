"""Who asked for a release and is gone: by whatever way, the release goes on."""

from __future__ import annotations

import pytest

from tests.droplet.test_launch import UNIT, another, asked
from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.waiting import seconds_until


def callers(droplet: Droplet) -> list[int]:
    """Processes of those who look on."""
    found = droplet.run(["pgrep", "-f", "salt-call.* deploy.release"], check=False).stdout
    return [int(pid) for pid in found.split()]


@pytest.mark.parametrize("signal", ["INT", "HUP", "TERM", "KILL"])
def test_caller_that_goes_leaves_the_release_alone(droplet: Droplet, site: Site, signal: str) -> None:
    version = another(droplet, site)
    with shipping.stopped_at(droplet, "start:start", lambda beside: asked(beside, version)) as (_, answer):
        for pid in callers(droplet):
            droplet.run(["kill", f"-{signal}", str(pid)], check=False)
        seconds_until(answer.done, 30)
        told = answer.result()
        assert told.returncode != 0
        if signal != "KILL":
            assert '"outcome": "running"' in told.stdout
            assert "deploy.status" in told.stdout
        in_flight = shipping.status(droplet)["in_flight"]
        assert (in_flight["version"], in_flight["step"]) == (version, "start")
    shipping.wait_settled(droplet)
    shipping.assert_sound(droplet, version)


def test_shutdown_takes_the_release_back_before_the_backend_stops(droplet: Droplet, site: Site) -> None:
    version = another(droplet, site)
    before = shipping.status(droplet)["live"]["version"]
    with shipping.stopped_at(droplet, "start:start", lambda beside: asked(beside, version)):
        after = droplet.run(["systemctl", "show", "--property=After", "--value", UNIT]).stdout.split()
        for unit in ("docker", "haproxy", "marketplace-data", "marketplace-backend"):
            assert f"{unit}.service" in after
        shipping.go_on(droplet)
        droplet.reboot()
    seconds_until(lambda: shipping.status(droplet)["in_flight"] is None, 120)
    seconds_until(lambda: shipping.status(droplet)["health"]["status"] == "healthy", 120)
    record = shipping.history(droplet, 1)[0]
    assert (record["version"], record["outcome"]) == (version, "failed")
    assert "interrupted" in record["reason"]
    shipping.assert_sound(droplet, before)
