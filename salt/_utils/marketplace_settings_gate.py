"""The settings gate: from the merged pillar to what states read, or to every problem it has.

Salt hands a finished pillar in again: a command line's ``pillar=`` is merged over the pillar that the run began with,
and a state run inside another one passes its pillar on. So what the gate adds must be told from what people said.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace_durable import digest
from marketplace_formula_inputs import formula_inputs
from marketplace_settings import examine, to_dict
from marketplace_settings_fields import Problem
from marketplace_settings_secrets import Sources

NO_PILLAR = "this host has no pillar, it is converged from a controller: run state.apply there"
_ADDED = ("settings", "settings_gate", "settings_said", "secrets_given")


def no_pillar() -> dict[str, Any]:
    """What the gate adds on a host that has no pillar at all."""
    return {"settings_gate": {"checked": True, "source": "none"}, "_errors": [NO_PILLAR]}


def gate(
    pillar: Mapping[str, Any],
    minion_id: str,
    environments: Iterable[str],
    sources: Sources | None = None,
    problems: Iterable[Problem] = (),
) -> dict[str, Any]:
    """What the gate adds to ``pillar``.

    Args:
        pillar: the merged pillar, possibly one that has been through here.
        minion_id: decides the environment.
        environments: names of the environments there are.
        sources: how secrets outside the pillar are read.
        problems: those of the files that the pillar comes from.

    Returns:
        ``settings_gate`` always; ``settings``, ``secrets_given`` and the formulas' pillar where all is well, else
        ``_errors`` with one text a problem. ``settings_said`` keeps the sections that a formula's pillar is merged
        into (both have a ``firewall``).
    """
    said = unmerged(pillar)
    outcome = examine(said, minion_id, environments, sources)
    checked = {"checked": True, "source": "pillar"}
    found = [*problems, *outcome.problems]
    if outcome.settings is None or found:
        return {"settings_gate": checked, "_errors": [str(problem) for problem in found]}
    settings = to_dict(outcome.settings)
    inputs = formula_inputs(settings)
    return {
        "settings": settings,
        "settings_gate": {**checked, "digest": digest(settings)},
        "settings_said": {name: said[name] for name in inputs if name in said},
        "secrets_given": outcome.secrets,
        **inputs,
    }


def unmerged(pillar: Mapping[str, Any]) -> dict[str, Any]:
    """What people said in ``pillar``, without what the gate added when it saw this pillar before."""
    said = {name: value for name, value in pillar.items() if name not in _ADDED}
    settings = pillar.get("settings")
    if settings is None or (pillar.get("settings_gate") or {}).get("digest") != digest(settings):
        return said
    before = pillar.get("settings_said") or {}
    for name, added in formula_inputs(settings).items():
        section = said.pop(name, None)
        if not isinstance(section, Mapping):
            continue
        kept = {key: value for key, value in section.items() if value != added.get(key)}
        if kept or name in before:
            said[name] = {**before.get(name, {}), **kept}
    return said
