"""Tests of the tests: an engine that is broken on purpose is found out, each time in the same place."""

import pytest

from tests.simulation.breakage import BREAKAGES, Break
from tests.simulation.quick import quick
from tests.simulation.reference import REFERENCES, search


@pytest.mark.parametrize(("breakage", "operation"), BREAKAGES, ids=[found.__name__ for found, _ in BREAKAGES])
def test_broken_engine_is_found_out(breakage: Break, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = next(reference for reference in REFERENCES if reference.name == operation)
    with quick():
        reference.prepared()  # by an engine that is whole
        breakage(monkeypatch)
        assert search(reference)
