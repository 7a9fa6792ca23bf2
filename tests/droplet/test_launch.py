"""A release and who asked for it: what happens to them is not what happens to it."""

from __future__ import annotations

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result
from tests.support.droplet.site import Site
from tests.support.waiting import seconds_until

VERSIONS = ("1.1.1", "1.1.2")
UNIT = "marketplace-release-*.service"


def asked(droplet: Droplet, version: str, *options: str) -> Result:
    """Somebody types it, and sees what comes."""
    command = ["salt-call", "--out=json", "deploy.release", version, "soak=0", *options]
    return droplet.run(command, check=False)


def another(droplet: Droplet, site: Site) -> str:
    """A version that is not live."""
    live = shipping.status(droplet)["live"]["version"]
    version = VERSIONS[1] if live == VERSIONS[0] else VERSIONS[0]
    site.backend(version)
    return version


def test_what_a_killed_release_had_started_dies_with_it(droplet: Droplet, site: Site) -> None:
    version = another(droplet, site)
    before = shipping.status(droplet)["live"]["version"]
    with shipping.stopped_at(droplet, "schema:start", lambda beside: asked(beside, version)) as (pid, answer):
        shipping.go_on(droplet)
        group: list[int] = []

        def has_children() -> bool:
            listed = droplet.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False).stdout
            group[:] = [int(child) for child in listed.split()]
            return bool(group)

        seconds_until(has_children, 30)
        shipping.kill(droplet, pid)
        seconds_until(lambda: not any(_alive(droplet, child) for child in group), 10)
        told = answer.result(60)
    assert '"outcome": "failed"' in told.stdout
    assert "interrupted" in told.stdout
    shipping.wait_settled(droplet)
    shipping.assert_sound(droplet, before)


def _alive(droplet: Droplet, pid: int) -> bool:
    return droplet.run(["test", "-e", f"/proc/{pid}"], check=False).returncode == 0
