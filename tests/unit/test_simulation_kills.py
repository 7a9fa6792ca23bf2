"""Killed, and without power, at every gate of a release, a rollback and a release in maintenance; then resumed.

Nothing is listed by hand: places are made from the step list, gates are counted in a run in which nothing happens.
"""

import pytest
from marketplace_steps import STEPS

from tests.simulation.gate import Fault
from tests.simulation.quick import quick
from tests.simulation.reference import REFERENCES, Reference, after_the_end, tried


@pytest.mark.parametrize("kind", ["kill", "power"])
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_killed_at_any_gate_and_resumed(reference: Reference, kind: str) -> None:
    with quick():
        gates = reference.gates(acts=True)
        assert len(gates) > 10
        wrong = [
            words
            for at in range(1, len(gates) + 1)
            for words in tried(reference, at, Fault(kind, seed=at), acts=True)
        ]
    assert wrong == []


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_power_that_fails_behind_the_answer_takes_nothing_of_it(reference: Reference) -> None:
    with quick():
        wrong = [words for seed in range(5) for words in after_the_end(reference, seed)]
    assert wrong == []


def test_every_step_is_begun_ended_and_undone_in_some_reference() -> None:
    """Else the kills above would miss a step."""
    with quick():
        reached = {gate for reference in REFERENCES for gate in reference.gates(acts=False)}
    places = {f"reached {step.name}:{when}" for step in STEPS for when in ("start", "end")}
    undone = {f"reached {step.name}:undone" for step in STEPS if step.undo}
    assert sorted((places | undone) - reached) == []
