"""Tests of the tests: the engine is broken on purpose, each time in one way, and the simulation has to notice."""

from collections.abc import Iterator

import pytest

from tests.simulation.breakage import BREAKAGES, Break
from tests.simulation.gate import Fault
from tests.simulation.quick import quick
from tests.simulation.reference import REFERENCES, after_the_end, tried


def findings() -> Iterator[str]:
    """What is wrong in some run, cheap searches first: nothing happens, kills, power losses, failing effects."""
    for reference in REFERENCES:
        yield from tried(reference, 1 << 30, Fault("kill"), acts=True)
    for reference in REFERENCES:
        yield from after_the_end(reference, 1)
    for kind in ("kill", "power", "fail"):
        for reference in REFERENCES:
            for at in range(1, len(reference.gates(acts=True)) + 1):
                yield from tried(reference, at, Fault(kind, seed=at), acts=True, again=kind == "kill")


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_broken_engine_is_found_out(breakage: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    for reference in REFERENCES:
        reference.prepared()  # by the engine as it is
    with quick():
        breakage(monkeypatch)
        assert next(findings(), None) is not None


def test_engine_as_it_is_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same search, bounded, finds nothing where nothing was broken."""
    with quick():
        for reference in REFERENCES:
            assert tried(reference, 1 << 30, Fault("kill"), acts=True) == []
            assert after_the_end(reference, 1) == []
