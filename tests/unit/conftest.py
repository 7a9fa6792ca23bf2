"""The droplet of the engine's unit tests."""

from pathlib import Path

import pytest

from tests.support.releases import DIGEST_1, DIGEST_2
from tests.support.world import Image, Simulated, simulated


@pytest.fixture
def droplet(tmp_path: Path) -> Simulated:
    droplet = simulated(tmp_path)
    droplet.docker.push("1.0.0", Image(DIGEST_1))
    droplet.docker.push("1.1.0", Image(DIGEST_2, heads=("0002",)))
    return droplet
