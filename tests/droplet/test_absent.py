"""What would be taken off a host is shown first, and nothing goes that nobody has confirmed.

That all of it goes but the data, and comes back with them, is for `make soak`.
"""

from __future__ import annotations

from tests.support.droplet.droplets import Droplet
from tests.support.removal import ALLOWED, absent, listing, seen


def test_what_nobody_has_confirmed_is_not_removed_and_a_plan_removes_nothing(droplet: Droplet) -> None:
    # Nobody has said so, or has said another droplet's name; and others use the engine.
    for said, words in (("", 'pillar=\'{"remove": "development"}\''), ("production", "is development")):
        refused = absent(droplet, said)
        assert list(refused.failed) == [ALLOWED]
        assert words in refused.failed[ALLOWED]
    image = droplet.run(["docker", "inspect", "--format={{.Image}}", "redis"]).stdout.strip()
    droplet.run(["docker", "create", "--name=theirs", image])
    assert "theirs" in absent(droplet).failed[ALLOWED]
    droplet.run(["docker", "rm", "--volumes", "theirs"])

    before, running = listing(droplet, "/etc", "/usr/local", "/srv/data"), seen(droplet)
    foreseen = absent(droplet, "", "test=True")
    assert foreseen.failed == {}
    assert listing(droplet, "/etc", "/usr/local", "/srv/data") == before
    assert seen(droplet) == running
