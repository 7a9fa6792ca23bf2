"""What works in the background leaves a processor alone."""

import os

import pytest
from marketplace_background import background_processors


@pytest.mark.parametrize(("there", "used"), [({0}, {0}), ({0, 1}, {1}), ({2, 3, 5}, {3, 5})])
def test_the_first_processor_is_left_to_users(
    monkeypatch: pytest.MonkeyPatch, there: set[int], used: set[int]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: there)
    assert background_processors() == used
