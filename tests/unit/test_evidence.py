"""Rows of docs/evidence.md: shown by results as they were written, and red for every reason there is."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from bench.__main__ import MEASURED
from evidence import document, judge, month, pictures
from evidence.__main__ import PROMISES, SPEC, history
from evidence.promises import Promise, Unusable, asked, promises
from tests.support.droplet.paths import REPOSITORY
from tests.support.results import Part, read_all

PLACE = "tests/soak/test_load.py"
TEST = f"{PLACE}::test_load"
PART = Part(PLACE, "2026-01-02 03:04 UTC", "abc", "2 x CPU", ["test_load[a]", "test_load[b]"], [], 1.0,
            [["test_load[a]", "0 lost; p95 58 ms"], ["test_load[b]", "0 lost; p95 61 ms"]]).sealed()  # fmt: skip


HISTORY = {"abc"}
NOW = datetime(2026, 1, 9, tzinfo=UTC)
MONTH = month.Month({fault.name: () for fault in month.FAULTS}, ["all"])


def promise(**changes: Any) -> Promise:
    figure = {"test": TEST, "pattern": r"p95 (\d+) ms", "at_most": 200} | changes
    row = {"promised": "Fast.", "tests": [TEST], "figures": [figure]}
    return promises({"SC-001": row}, {"SC-001": "Fast enough"})[0]


def rows() -> list[Promise]:
    return promises(yaml.safe_load(PROMISES.read_text()), asked(SPEC.read_text()))


def test_the_specification_has_its_rows() -> None:
    found = list(asked(SPEC.read_text()))
    assert [sum(name.startswith(kind) for name in found) for kind in ("FR", "SC", "AS", "EC")] == [
        20,
        10,
        12,
        8,
    ]
    assert len(rows()) == 50


def test_every_test_that_shows_a_promise_is_there() -> None:
    """A test that gets another name takes its rows along."""
    for row in rows():
        for test in row.tests:
            path, _, name = test.partition("::")
            if path.startswith("bench/"):
                assert path.removeprefix("bench/") in MEASURED, f"{row.id}: {test}"
                continue
            tree = ast.parse((REPOSITORY / path).read_text())
            names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in names, f"{row.id}: {test}"


def test_a_row_is_shown_by_what_passed_and_was_measured() -> None:
    found = judge.verdict(promise(), [PART], HISTORY)
    assert found.shown
    assert found.measured == ["0 lost; p95 58 ms", "0 lost; p95 61 ms"]
    text = document.document([found], [PART], MONTH, NOW)
    assert f"The oldest result is 6 days old: {PLACE}, 2026-01-02 03:04 UTC." in text
    assert "**1 of 1 rows are shown.**" in text
    assert "RED" not in text.partition("## Functional")[2]


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        (replace(PART, measured=[["test_load[a]", "0 lost; p95 58 ms"]]), {}, "changed after it was written"),
        (replace(PART, commit="abc with changes").sealed(), {}, "is of abc with changes"),
        (replace(PART, commit="def").sealed(), {}, "is of def, which is not in this checkout's history"),
        (replace(PART, failed=["test_load[b]"], passed=["test_load[a]"]).sealed(), {}, "failed: "),
        (replace(PART, passed=["test_loads"]).sealed(), {}, "was not run"),
        (replace(PART, place="tests/soak/test_kill.py").sealed(), {}, f"no result of {TEST}"),
        (replace(PART, measured=[]).sealed(), {}, "nothing measured"),
        (PART, {"at_most": 60}, "61 is not at most 60: 0 lost; p95 61 ms"),
        (PART, {"pattern": r"^(\d+) lost", "at_most": -1}, "0 is not at most -1"),
    ],
)  # fmt: skip
def test_a_row_is_red_for_each_reason(part: Part, changes: dict[str, Any], reason: str) -> None:
    found = judge.verdict(promise(**changes), [part], HISTORY)
    assert not found.shown
    assert reason in "; ".join(found.reasons)
    text = document.document([found], [part], MONTH, NOW)
    assert "- RED SC-001: " in text
    assert "| **RED** SC-001 |" in text


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"promised": "x"}, "'tests' are needed"),
        ({"promised": "x", "tests": [TEST], "figures": [{"test": TEST, "pattern": "x", "at_most": 1}]}, "one group"),
        ({"promised": "x", "tests": [TEST], "figures": [{"test": TEST, "pattern": "(x)"}]}, "one of at_most"),
        ({"promised": "x", "tests": [TEST], "figures": [{"test": "other", "pattern": "(x)", "equals": 1}]}, "other"),
        ({"promised": "x", "tests": [TEST], "measured": []}, "unknown: ['measured']"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_judged_is_named(row: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable, match="SC-001") as raised:
        promises({"SC-001": row}, {"SC-001": "asked"})
    assert words in str(raised.value)
    with pytest.raises(Unusable, match=r"missing \['SC-002'\]"):
        promises({"SC-001": {}}, {"SC-001": "asked", "SC-002": "asked"})


@pytest.mark.parametrize(
    ("shallow", "words"), [("true", "git fetch --unshallow"), ("", "only its git history tells")]
)
def test_history_that_is_not_whole_is_no_history(
    monkeypatch: pytest.MonkeyPatch, shallow: str, words: str
) -> None:
    def git(command: list[str], **_: Any) -> str:
        if not shallow:
            raise subprocess.CalledProcessError(128, command)
        return shallow

    monkeypatch.setattr(subprocess, "check_output", git)
    with pytest.raises(Unusable, match=words):
        history()


def test_every_result_of_the_repository_is_as_it_was_written() -> None:
    assert [part.place for part in read_all() if not part.untouched] == []


def test_a_month_is_as_long_as_faults_take_and_no_figure_is_made_up() -> None:
    fault = month.Fault("a crash", 30, "test_load", r"p95 (\d+) ms", unit=1.0, before=1.0)
    found = month.simulate([PART], [fault], months=400)
    assert found.times == {"a crash": [58.0, 61.0]}
    # Thirty times about a minute, of 30 days.
    assert 0.9991 < found.median < 0.9995
    assert found.worst < found.median
    assert found.reasons == []
    assert (
        "one month of a hundred"
        in month.simulate([PART], [month.Fault("x", 900, "load", r"p95 (\d+)")], 50).reasons[0]
    )
    unknown = month.simulate([PART], [fault, month.Fault("a flood", 1, "test_flood", r"(\d+)")])
    assert unknown.reasons == ["not measured: a flood"]
    text = month.document(unknown, [fault, month.Fault("a flood", 1, "test_flood", r"(\d+)")])
    assert "| a flood | 1 |  | not measured |" in text
    assert "Not simulated" in text


def test_a_breaking_migration_is_no_minor_upgrade_of_the_month() -> None:
    upgrade = next(fault for fault in month.FAULTS if "minor version" in fault.name)
    notes = [
        ["test_there_and_back_again_and_again", "longest gap 5000 ms"],
        ["test_breaking_migration_in_maintenance_there_and_back", "longest gap 14000 ms"],
    ]
    found = month.simulate([replace(PART, measured=notes)], [upgrade], months=10)
    assert found.times == {upgrade.name: [5.0]}


def test_pictures_hold_what_was_measured_and_no_script() -> None:
    part = replace(PART, series={
        "latency around a switch": [[-1, 10, 20, 30], [0, 11, 61, 700], [1, None, None, None]],
        "a run with nothing to do": [["ours", 1.9], ["another", 44.0]],
    })  # fmt: skip
    drawn = pictures.pictures([part], month.Month({"a crash": [4.0, 5.0, 9.0], "a flood": ()}, ["a flood"]))
    assert set(drawn) == {"latency.svg", "nothing-to-do.svg", "recovery.svg"}
    for text in drawn.values():
        assert text.startswith("<svg")
        assert "<script" not in text
    assert "44.0" in drawn["nothing-to-do.svg"]
    assert "5.0" in drawn["recovery.svg"]
    assert "a flood" not in drawn["recovery.svg"]
    assert drawn == pictures.pictures([part], month.Month({"a crash": [4.0, 5.0, 9.0]}, []))
    assert pictures.pictures([PART], MONTH) == {}
