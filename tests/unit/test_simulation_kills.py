"""Killed, and without power, at every place and every gate of every operation; then resumed, and all is well.

Nothing is listed by hand: places are made from the step list, gates are counted in a run in which nothing happens.
"""

from collections.abc import Iterator
from functools import cache

import pytest
from marketplace_steps import STEP_NAMES, STEPS

from tests.simulation.gate import Fault, Plan
from tests.simulation.quick import quick
from tests.simulation.reference import REFERENCES, Reference, tried, wrong_after

PLACES = [
    *(f"{name}:{when}" for name in STEP_NAMES for when in ("start", "end")),
    *(f"{step.name}:undone" for step in STEPS if step.undo),
]


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


@cache
def gates(reference: Reference) -> tuple[str, ...]:
    return tuple(reference.gates(acts=True))


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_every_place_of_every_step(place: str) -> None:
    gate = f"reached {place}"
    passing = [reference for reference in REFERENCES if gate in gates(reference)]
    assert passing, f"no operation comes by {place}: add one to REFERENCES"
    for reference in passing:
        for kind in ("kill", "power"):
            droplet, ended = reference.done(Plan(by_name={gate: Fault(kind, 1)}))
            assert ended.killed
            assert wrong_after(droplet, ended) == [], f"{kind} in {reference.name}"


@pytest.mark.parametrize("kind", ["kill", "power"])
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_killed_at_every_gate(reference: Reference, kind: str) -> None:
    for at in range(1, len(gates(reference)) + 1):
        assert tried(reference, at, Fault(kind, at), acts=True) == []


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_power_loss_behind_the_end_forgets_nothing(reference: Reference) -> None:
    for seed in range(4):
        assert tried(reference, len(gates(reference)) + 1, Fault("kill", seed), acts=True, again=True) == []


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_power_loss_behind_a_resume_forgets_nothing(reference: Reference) -> None:
    for at in range(1, len(gates(reference)) + 1, 7):
        assert tried(reference, at, Fault("kill", at), acts=True, again=True) == []
