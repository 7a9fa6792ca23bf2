"""A droplet that loses its power in the middle of a release: all is well again by itself."""

from __future__ import annotations

from collections.abc import Callable

from tests.droplet.test_release_kill import VERSIONS, another, shipping_of
from tests.support import killing, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.load.running import Load


def test_power_loss_in_the_switch(droplet: Droplet, site: Site, load: Callable[..., Load]) -> None:
    for version in VERSIONS:
        site.backend(version)
    before = shipping.status(droplet)["live"]["version"]
    version = another(before)
    users = load(20, 1.0)
    killing.power_loss_at(droplet, "switch:end", shipping_of(version), version, before)
    shipping.shipped(shipping_of(before if before in VERSIONS else another(version))(droplet))
    # What Redis has not yet written to its disk is forgotten with the power; effects are not.
    users.assert_lossless(droplet, failed=None, dialogues=False)
