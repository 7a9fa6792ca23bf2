"""Effects that fail, hang or fail after they acted, signals and crashes at every gate: live comes first, and is well.

`make unit` tries one kind at each gate; SIMULATION=... tries them all.
"""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.gate import Fault
from tests.simulation.quick import quick
from tests.simulation.reference import REFERENCES, Reference, tried

KINDS = ("fail", "late", "hang", "signal", "crash", "haproxy", "clock", "withdraw", "reboot")
ALL = "SIMULATION" in os.environ
# How long a whole group of effects goes on failing.
LASTS = (0, 0, 0, 5, 40)


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_trouble_at_every_gate(reference: Reference) -> None:
    for at in range(1, len(reference.gates(acts=False)) + 1):
        for kind in KINDS if ALL else (KINDS[at % len(KINDS)],):
            fault = Fault(kind, at, LASTS[at // len(KINDS) % len(LASTS)])
            assert tried(reference, at, fault, acts=False) == []
