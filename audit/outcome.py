"""What a tool found, and what that means: met, explained, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.site import Site

EXPLANATIONS = Path(__file__).with_name("explanations.yaml")


@dataclass(frozen=True)
class Place:
    """Where tools look: a converged droplet with a live release, and another host on its network."""

    site: Site
    droplet: Droplet
    neighbour: Machine


@dataclass(frozen=True)
class Finding:
    """One thing that a tool holds against the droplet."""

    id: str
    says: str
    why: str = ""
    """Why it stays; empty where nobody has written that."""


@dataclass(frozen=True)
class Outcome:
    """What one tool found.

    Args:
        tool: its name; the report is kept as docs/audit/<tool>.txt.
        goal: what was aimed at, for people.
        figure: what was reached, for people.
        met: whether that is the goal.
        report: the tool's own, whole.
        findings: what it holds against the droplet.
    """

    tool: str
    goal: str
    figure: str
    met: bool
    report: str
    findings: tuple[Finding, ...] = field(default=())

    @property
    def unexplained(self) -> list[Finding]:
        """Findings without a reason."""
        return [finding for finding in self.findings if not finding.why]

    @property
    def passed(self) -> bool:
        """Whether every finding has its reason, and a goal that is missed has findings that say why."""
        return not self.unexplained and (self.met or bool(self.findings))


def explained(
    tool: str, found: Iterable[tuple[str, str]], written: Mapping[str, Mapping[str, str]]
) -> tuple[Finding, ...]:
    """Findings ``(id, what the tool says)``, each with its reason (an id there may end in ``*``)."""
    reasons = written.get(tool, {})
    return tuple(Finding(identifier, says, _reason(identifier, reasons)) for identifier, says in found)


def explanations() -> dict[str, dict[str, str]]:
    """Tool -> finding -> why it stays."""
    written: dict[str, dict[str, str]] = yaml.safe_load(EXPLANATIONS.read_text())
    return written


def _reason(identifier: str, reasons: Mapping[str, str]) -> str:
    if identifier in reasons:
        return reasons[identifier]
    prefixes = [key for key in reasons if key.endswith("*") and identifier.startswith(key[:-1])]
    return reasons[max(prefixes, key=len)] if prefixes else ""
