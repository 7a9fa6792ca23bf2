"""Whether a promise is shown by results. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tests.support.results import Part

from .promises import Figure, Promise


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a row.

    Args:
        promise: the row.
        reasons: why it is red; none: it is shown.
        measured: words that its tests noted and that a figure of the row judged.
        parts: the results that it stands on.
    """

    promise: Promise
    reasons: Sequence[str]
    measured: Sequence[str]
    parts: Sequence[Part]

    @property
    def shown(self) -> bool:
        """Whether every test passed and every figure is as promised."""
        return not self.reasons


def unusable(part: Part, history: Collection[str]) -> str:
    """Why a result shows nothing of the checkout, or "".

    Args:
        history: the first twelve digits of each commit that the checkout comes from, its own among them.
    """
    if not part.untouched:
        return f"the result of {part.place} was changed after it was written"
    commit, _, changes = part.commit.partition(" ")
    if changes:
        return f"the result of {part.place} is of {commit} {changes}: commit them, and run it again"
    if commit[:12] not in history:
        return f"the result of {part.place} is of {commit}, which is not in this checkout's history: run it again"
    return ""


def verdict(promise: Promise, parts: Iterable[Part], history: Collection[str]) -> Verdict:
    """Judge a row by what was written down.

    A row is red where a result was edited by hand or is of no commit that the checkout comes from, a test was never run
    or did not pass, a figure was not measured, or is not what was promised.

    Args:
        history: as :func:`unusable` takes it.
    """
    known = list(parts)
    reasons: list[str] = []
    used: list[Part] = []
    for test in promise.tests:
        part = next((part for part in known if test.startswith((f"{part.place}::", f"{part.place}/"))), None)
        if part is None:
            reasons.append(f"no result of {test}")
            continue
        if part not in used:
            used.append(part)
            if why := unusable(part, history):
                reasons.append(why)
        failed, passed = _cases(part, part.failed, test), _cases(part, part.passed, test)
        reasons += [f"failed: {part.place} {case}" for case in failed]
        if not failed and not passed:
            reasons.append(f"{test} was not run with {part.place}")
    measured: list[str] = []
    for figure in promise.figures:
        words, wrong = _judged(figure, used)
        measured += [text for text in words if text not in measured]
        reasons += wrong
    return Verdict(promise, reasons, measured, used)


def _cases(part: Part, names: Iterable[str], test: str) -> list[str]:
    """Those of a part's names that are a test, or a case of it."""
    name = test.removeprefix(part.place).lstrip("/:")
    return [case for case in names if case == name or case.startswith(f"{name}[")]


def _judged(figure: Figure, parts: Sequence[Part]) -> tuple[list[str], list[str]]:
    """All words in which the figure is, and what is wrong with it."""
    found = [
        (words, match)
        for part in parts
        for test, words in part.measured
        if _cases(part, [test], figure.test) and (match := figure.pattern.search(words))
    ]
    if not found:
        return [], [f"nothing measured for {figure.pattern.pattern!r}"]
    wrong = [
        f"{match.group(1)} is not {figure.goal}: {words}"
        for words, match in found
        if not figure.holds(float(match.group(1).replace(",", "")))
    ]
    return [words for words, _ in found], wrong
