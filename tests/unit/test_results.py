"""Results of tests: a part that ran as a whole renews its rows, and no other part loses its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import measured, results
from tests.support.results import Tally

KILL, LOAD = "tests/soak/test_kill.py", "tests/soak/test_load.py"

pytest_plugins = ("pytester",)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measured, "DIRECTORY", tmp_path)
    return tmp_path


def ran(*outcomes: tuple[str, bool], notes: tuple[str, ...] = ()) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for test, passed in outcomes:
        place = results.place_of(test)
        assert place
        tallies.setdefault(place, Tally()).add(test, passed, 30.0, notes)
    return tallies


def test_a_part_is_kept_beside_the_others(directory: Path) -> None:
    one, two = f"{KILL}::test_one[a]", f"{KILL}::test_two"
    results.keep(ran((one, True), (two, False)))
    results.keep(ran((f"{LOAD}::test_load", True), notes=("12 releases, 0 lost",)))
    text = (directory / "soak.md").read_text()
    assert "| kill | 1 | 1 | 1.0 |" in text
    assert "Failed: kill: test_two" in text
    assert "| load | 1 | 0 | 0.5 |" in text
    assert "| load | test_load | 12 releases, 0 lost |" in text

    results.keep(ran((one, True), (two, True)))
    text = (directory / "soak.md").read_text()
    assert "| kill | 2 | 0 |" in text
    assert "Failed" not in text


def test_a_test_that_cannot_clean_up_has_failed(directory: Path) -> None:
    one = f"{KILL}::test_one"
    results.keep(ran((one, True), (one, False)))
    assert "| kill | 0 | 1 |" in (directory / "soak.md").read_text()


def test_guards_are_one_part_each_and_no_soak(directory: Path) -> None:
    results.keep(
        ran(("tests/droplet/test_a.py::test_one", True), ("tests/droplet/test_b.py::test_two", False))
    )
    (part,) = results.read_all("guard")
    assert (part.name, part.passed, part.failed) == (
        "droplet",
        ["test_a.py::test_one"],
        ["test_b.py::test_two"],
    )
    assert not (directory / "soak.md").exists()
    assert results.place_of("tests/unit/test_a.py::test_one") is None


def test_whoever_edits_a_result_is_found_out(directory: Path) -> None:
    results.keep(ran((f"{LOAD}::test_load", True), notes=("3 lost",)))
    assert results.read(directory / "soak" / "load.json").untouched
    file = directory / "soak" / "load.json"
    file.write_text(file.read_text().replace("3 lost", "0 lost"))
    assert not results.read(file).untouched


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["tests/soak/test_x.py"], True),
        (["tests/soak"], True),
        (["tests/soak/test_x.py::test_one"], False),
        (["tests/soak", "-k", "one"], False),
        (["tests/soak", "--maxfail=1"], False),
        (["tests/droplet"], False),
        (["tests/droplet", "--keep-results"], True),
        (["tests/droplet", "--keep-results", "-p", "xdist", "--numprocesses=2"], True),
    ],
)
def test_only_what_ran_as_a_whole_is_kept(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kept: bool
) -> None:
    monkeypatch.setattr("tests.support.recording.REPOSITORY", pytester.path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # Salt's cannot be loaded twice in a process.
    place = Path(arguments[0].partition("::")[0])
    file = pytester.path / (place if place.suffix else place / "test_x.py")
    file.parent.mkdir(parents=True)
    file.write_text(
        "def test_one(request):\n    request.node.user_properties.append(('measured', '7 s'))\n\n"
        "def test_two():\n    assert False\n\ndef test_three():\n    pass\n"
    )
    pytester.makeconftest("from tests.conftest import pytest_addoption, pytest_configure\n")
    pytester.runpytest(*arguments, "-p", "no:cacheprovider")
    found = [json.loads(path.read_text()) for path in measured.DIRECTORY.glob("*/*.json")]
    assert bool(found) is kept
    if kept:
        (part,) = found
        assert [name[-8:] for name in part["failed"]] == ["test_two"]
        assert len(part["passed"]) == 2
        assert [words for _, words in part["measured"]] == ["7 s"]
