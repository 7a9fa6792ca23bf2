"""Who asked for a release and is gone: by whatever way, the release goes on."""

from __future__ import annotations

import pytest

from tests.droplet.test_launch import another, asked
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
