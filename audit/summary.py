"""The reports as they are kept, and the summary of them."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.paths import REPOSITORY
from tests.support.measured import document, table

from .outcome import Outcome

DIRECTORY = REPOSITORY / "docs" / "audit"
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HOST = re.compile(r"https?://(?:[^@/\s]*@)?([A-Za-z0-9.-]+)")


def names_to_hide(droplet: Droplet) -> list[str]:
    """Names that say where this machine stands, and nothing about the droplet: where its packages come from."""
    sources = ["/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/pip.conf"]
    said = droplet.run(["grep", "--recursive", "--no-filename", "http", *sources], check=False).stdout
    return sorted(set(_HOST.findall(said)), key=len, reverse=True)


def scrubbed(outcome: Outcome, hidden: Sequence[str]) -> Outcome:
    """The outcome with a report that can be shown to anybody."""
    return dataclasses.replace(outcome, report=clean(outcome.report, hidden))


def clean(report: str, hidden: Iterable[str]) -> str:
    """A report without colours, trailing space, and the names in ``hidden``."""
    for name in hidden:
        report = report.replace(name, "(mirror)")
    lines = [line.rstrip() for line in _COLOUR.sub("", report).replace("\r", "\n").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def write(outcomes: Sequence[Outcome], started: float, complete: bool, directory: Path = DIRECTORY) -> Path:
    """Write every report and, when all tools ran, the summary. Returns where."""
    directory.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        (directory / f"{outcome.tool}.txt").write_text(outcome.report)
    if not complete:
        return directory
    path = directory / "README.md"
    path.write_text(document("Audit", "make audit", time.monotonic() - started, parts(outcomes)))
    return path


def parts(outcomes: Sequence[Outcome]) -> list[str]:
    """The summary: one line a tool, then what each holds against the droplet and why that stays."""
    rows = [
        (f"[{outcome.tool}]({outcome.tool}.txt)", outcome.goal, outcome.figure, _verdict(outcome))
        for outcome in outcomes
    ]
    blocks = ["## Figures", table(("tool", "goal", "reached", ""), rows)]
    for outcome in outcomes:
        if outcome.findings:
            remaining = [
                (finding.id, finding.says, finding.why or "**not explained**") for finding in outcome.findings
            ]
            blocks += [
                f"## {outcome.tool}: what remains, and why",
                table(("finding", "it says", "why it stays"), remaining),
            ]
    return blocks


def _verdict(outcome: Outcome) -> str:
    if outcome.met:
        return "met"
    return "explained below" if outcome.passed else "**missed**"
