"""What is promised: the specification's rows, and for each the tests and figures that show it (promises.yaml). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HEADING = re.compile(r"^### (User Story (?P<story>\d+)|Edge Cases)")
_LISTED = re.compile(r"^- \*\*(?P<id>(?:FR|SC)-\d{3})\*\*: (?P<text>.+)$")
_SCENARIO = re.compile(r"^\d+\. (?P<text>\*\*Given\*\*.+)$")
_BOUNDS = ("at_most", "at_least", "equals")


class Unusable(Exception):
    """promises.yaml does not fit docs/spec.md, or is no list of promises. The message names the row."""


@dataclass(frozen=True)
class Figure:
    """A number in the words that a test noted, and what it has to be.

    Args:
        test: that noted it, as in ``Promise.tests``.
        pattern: a regular expression that finds the words; its one group is the number.
        bound: ``at_most``, ``at_least`` or ``equals``.
        limit: what the number is compared with, in the words' own unit.
    """

    test: str
    pattern: re.Pattern[str]
    bound: str
    limit: float

    def holds(self, number: float) -> bool:
        """Whether a number is within the bound."""
        if self.bound == "at_most":
            return number <= self.limit
        return number >= self.limit if self.bound == "at_least" else number == self.limit

    @property
    def goal(self) -> str:
        """The bound in words."""
        return f"{self.bound.replace('_', ' ')} {self.limit:g}"


@dataclass(frozen=True)
class Promise:
    """One row.

    Args:
        id: FR-001, SC-001, AS-1.1 (story and scenario) or EC-1 (edge case), counted as in docs/spec.md.
        asked: the specification's words.
        promised: ours, where we promise more or say how.
        tests: ``file::test``; every case of a test with parameters belongs to it.
        figures: what has to have been measured.
        elsewhere: what of it could not be run on this machine.
    """

    id: str
    asked: str
    promised: str
    tests: Sequence[str]
    figures: Sequence[Figure] = ()
    elsewhere: str = ""


def asked(spec: str) -> dict[str, str]:
    """The rows of a specification, by id, in its order.

    Args:
        spec: docs/spec.md.
    """
    found: dict[str, str] = {}
    section, count = "", 0
    for line in spec.splitlines():
        if line.startswith("#"):
            heading = _HEADING.match(line)
            section, count = ((heading["story"] or "edge") if heading else ""), 0
        elif listed := _LISTED.match(line):
            found[listed["id"]] = listed["text"]
        elif section == "edge" and line.startswith("- "):
            count += 1
            found[f"EC-{count}"] = line.removeprefix("- ")
        elif section and (scenario := _SCENARIO.match(line)):
            count += 1
            found[f"AS-{section}.{count}"] = scenario["text"].replace("**", "")
    return found


def promises(document: Mapping[str, Any], rows: Mapping[str, str]) -> list[Promise]:
    """promises.yaml as rows, one for each row of the specification.

    Args:
        document: the YAML file's content.
        rows: see :func:`asked`.

    Raises:
        Unusable: a row is missing, is unknown, names no test, or has a figure that cannot be judged.
    """
    unknown, missing = document.keys() - rows.keys(), rows.keys() - document.keys()
    if unknown or missing:
        raise Unusable(
            f"promises.yaml and docs/spec.md differ: unknown {sorted(unknown)}, missing {sorted(missing)}"
        )
    return [_promise(name, words, document[name]) for name, words in rows.items()]


def _promise(name: str, words: str, row: Mapping[str, Any]) -> Promise:
    unknown = row.keys() - {"promised", "tests", "figures", "elsewhere"}
    if unknown or not row.get("tests") or not row.get("promised"):
        raise Unusable(
            f"{name}: 'promised' and at least one of 'tests' are needed; unknown: {sorted(unknown)}"
        )
    tests = list(row["tests"])
    figures = [_figure(name, figure, tests) for figure in row.get("figures", ())]
    return Promise(name, words, row["promised"], tests, figures, row.get("elsewhere", ""))


def _figure(name: str, row: Mapping[str, Any], tests: Sequence[str]) -> Figure:
    bounds = [bound for bound in _BOUNDS if bound in row]
    if len(bounds) != 1 or "pattern" not in row or row.keys() - {"test", "pattern", *_BOUNDS}:
        raise Unusable(f"{name}: a figure has 'test', 'pattern' and one of {', '.join(_BOUNDS)}: {dict(row)}")
    pattern = re.compile(row["pattern"])
    if pattern.groups != 1:
        raise Unusable(f"{name}: the pattern {row['pattern']!r} needs one group, the number")
    if row.get("test") not in tests:
        raise Unusable(f"{name}: a figure's test is not among the row's tests: {row.get('test')}")
    return Figure(row["test"], pattern, bounds[0], float(row[bounds[0]]))
