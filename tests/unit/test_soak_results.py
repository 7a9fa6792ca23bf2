"""The soak's results: a part that ran as a whole renews its rows, and no other part loses its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import measured, soak_results
from tests.support.soak_results import Tally

KILL, LOAD = "tests/soak/test_kill.py", "tests/soak/test_load.py"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(soak_results, "DIRECTORY", tmp_path / "soak")
    monkeypatch.setattr(measured, "DIRECTORY", tmp_path)
    return tmp_path


def ran(*outcomes: tuple[str, bool]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for test, passed in outcomes:
        tallies.setdefault(soak_results.part_of(test), Tally()).add(test, passed, 30.0)
    return tallies


def test_a_part_is_kept_beside_the_others(directory: Path) -> None:
    one, two = f"{KILL}::test_one[a]", f"{KILL}::test_two"
    soak_results.keep(ran((one, True), (two, False)), [one, two], [], {"kill"})
    other = f"{LOAD}::test_load"
    soak_results.keep(ran((other, True)), [other], [(other, "12 releases, 0 lost")], {"load"})
    text = (directory / "soak.md").read_text()
    assert "| kill | 1 | 1 | 1.0 |" in text
    assert "Failed: kill: test_two" in text
    assert "| load | 1 | 0 | 0.5 |" in text
    assert "| load | test_load | 12 releases, 0 lost |" in text

    soak_results.keep(ran((one, True), (two, True)), [one, two], [], {"kill"})
    text = (directory / "soak.md").read_text()
    assert "| kill | 2 | 0 |" in text
    assert "Failed" not in text


def test_a_part_of_which_only_some_ran_changes_nothing(directory: Path) -> None:
    one, two = f"{KILL}::test_one", f"{KILL}::test_two"
    soak_results.keep(ran((one, True)), [one, two], [], {"kill"})  # Ended before the second.
    soak_results.keep(ran((one, True)), [one], [], set())  # Only that one was asked for.
    assert not (directory / "soak").exists()


def test_a_test_that_cannot_clean_up_has_failed(directory: Path) -> None:
    one = f"{KILL}::test_one"
    soak_results.keep(ran((one, True), (one, False)), [one], [], {"kill"})
    assert "| kill | 0 | 1 |" in (directory / "soak.md").read_text()
