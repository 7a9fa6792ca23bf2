"""The settings gate: runs the parser over the merged pillar, so that no state runs on a wrong one.

Every minion and master configuration of this tree has ``ext_pillar: [{marketplace: {}}]``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_formula_inputs import formula_inputs
from marketplace_settings import digest, examine, to_dict
from marketplace_tree import revision

# Directories of a pillar root that are no environment.
_SHARED = ("base", "local")
_NO_PILLAR = "this host has no pillar, it is converged from a controller: run state.apply there"


def ext_pillar(minion_id: str, pillar: Mapping[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
    """Settings of ``minion_id`` under ``settings``, or every problem of the pillar under ``_errors``.

    Args:
        minion_id: decides the environment.
        pillar: the pillar merged from all files and from the command line.

    ``settings_gate`` is there in any case: the first state stops the run where it is missing.
    """
    roots = [Path(root) for root in __opts__.get("pillar_roots", {}).get("base", [])]
    if not any((root / "top.sls").is_file() for root in roots):
        return {"settings_gate": {"checked": True, "source": "none"}, "_errors": [_NO_PILLAR]}
    if _is_compiled(pillar):
        return {}
    outcome = examine(pillar, minion_id, environments(roots))
    if outcome.settings is None:
        return {
            "settings_gate": {"checked": True, "source": "pillar"},
            "_errors": [str(problem) for problem in outcome.problems],
        }
    settings = to_dict(outcome.settings)
    inputs = formula_inputs(settings)
    # The tree that compiles this pillar is the one that a droplet converged over ssh gets a copy of.
    inputs["minion"]["revision"] = revision(roots[0].resolve().parent)
    return {
        "settings": settings,
        "settings_gate": {"checked": True, "source": "pillar", "digest": digest(settings)},
        "secrets_given": outcome.secrets,
        **inputs,
    }


def _is_compiled(pillar: Mapping[str, Any]) -> bool:
    """Whether ``pillar`` went through here already: a state run inside another one is handed the finished pillar."""
    gate, settings = pillar.get("settings_gate"), pillar.get("settings")
    return isinstance(gate, Mapping) and settings is not None and gate.get("digest") == digest(settings)


def environments(roots: list[Path]) -> list[str]:
    """Names of the environments in pillar ``roots``: their directories other than base and local."""
    return sorted(
        {
            directory.name
            for root in roots
            if root.is_dir()
            for directory in root.iterdir()
            if directory.name not in _SHARED and (directory / "init.sls").is_file()
        }
    )
