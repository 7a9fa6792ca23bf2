"""The droplet of the engine's unit tests."""

import pytest
from hypothesis import settings

from tests.simulation.droplet import Droplet, simulated
from tests.simulation.images import DIGEST_1, DIGEST_2, Image, chain

# How long an example may take says how busy the machine is, and nothing of what is tested.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture
def droplet() -> Droplet:
    droplet = simulated()
    droplet.push("1.0.0", Image(DIGEST_1))
    droplet.push("1.1.0", Image(DIGEST_2, chain("0001", "0002")))
    return droplet
