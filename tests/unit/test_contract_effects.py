"""What the engine takes for granted of its effects holds for the simulated ones. For the real: tests/droplet."""

import pytest

from tests.contract.every import CHECKS
from tests.contract.simulated import effects


@pytest.mark.parametrize("name", CHECKS)
def test_simulated_effects(name: str) -> None:
    CHECKS[name](effects())
