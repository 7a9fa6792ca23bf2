"""Who asked for a release and is gone: by whatever way, the release goes on."""

from __future__ import annotations

import pytest

from tests.droplet.test_launch import caller_goes
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site


@pytest.mark.parametrize("signal", ["INT", "HUP", "TERM", "KILL"])
def test_caller_that_goes_leaves_the_release_alone(droplet: Droplet, site: Site, signal: str) -> None:
    caller_goes(droplet, site, signal)
