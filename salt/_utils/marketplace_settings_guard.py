"""Whether a command that changes something may run: it works from settings.json, so pillar mustn't say otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_arguments import Unusable
from marketplace_durable import digest, read_json
from marketplace_paths import Paths
from marketplace_settings import differences, said
from marketplace_tree import older

GATE_MISSING = (
    "the settings gate did not run: Salt found no ext_pillar 'marketplace'. Check that the minion's configuration"
    " has module_dirs and ext_pillar as in minion.conf, and that salt/_pillar/marketplace.py loads"
)
NOT_CONVERGED = "this droplet is not converged yet: run state.apply"
_LISTED = 8


def problems_text(problems: list[str]) -> str:
    """``problems`` under a heading, one a line."""
    noun = "problem" if len(problems) == 1 else "problems"
    return "\n".join([f"the pillar has {len(problems)} {noun}:", *(f"  - {problem}" for problem in problems)])


def refusal(pillar: Mapping[str, Any], settings_file: Path) -> str | None:
    """Why a mutating command must not run now; None where it may.

    Args:
        pillar: the pillar at hand; empty where there is none (a droplet that a controller converges), with nothing
            but ``settings_gate`` where the controller says what its own pillar is.
        settings_file: the droplet's settings.json.
    """
    gate = pillar.get("settings_gate") or {}
    at_hand = gate.get("source") == "pillar"
    # An empty pillar and one that only holds options of this run are no pillar.
    if not gate.get("checked") and any(
        key in pillar for key in ("backend", "postgres", "droplet", "secrets")
    ):
        return GATE_MISSING
    if at_hand and pillar.get("_errors"):
        return problems_text(list(pillar["_errors"]))
    try:
        written = read_json(settings_file)
    except ValueError as error:
        return f"{error}: run state.apply"
    if written is None:
        return f"there is no {settings_file}: this droplet has not been converged, run state.apply first"
    if not at_hand or gate.get("digest") == digest(written):
        return None
    if "settings" not in pillar:
        return "settings have changed: run state.apply"
    paths = said(differences(written, pillar["settings"]))
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return f"settings have changed ({', '.join(paths[:_LISTED])}{more}): run state.apply"


def settings_for_change(pillar: Mapping[str, Any], paths: Paths) -> tuple[dict[str, Any] | None, str]:
    """The effective settings; or None, and why nothing may be changed with them."""
    # What an older tree makes of pillar differs, too; that it is older says more.
    why = outdated(pillar, paths.tree) or refusal(pillar, paths.settings)
    if why:
        return None, why
    return settings_applied(paths)


def usable_settings(pillar: Mapping[str, Any], paths: Paths) -> dict[str, Any]:
    """The effective settings, for a function that answers what people type.

    Raises:
        Unusable: nothing may be changed with them; the message says why.
    """
    settings, why = settings_for_change(pillar, paths)
    if settings is None:
        raise Unusable(why)
    return settings


def settings_applied(paths: Paths) -> tuple[dict[str, Any] | None, str]:
    """The settings of the last state.apply; or None, and why there are none."""
    try:
        settings = read_json(paths.settings)
    except ValueError as error:
        return None, str(error)
    return settings, "" if settings is not None else NOT_CONVERGED


def outdated(pillar: Mapping[str, Any], tree_file: Path) -> str | None:
    """Why the tree at hand must not change what a newer one has written; None where it may, or git does not say.

    Args:
        pillar: the pillar at hand, whose gate knows the tree.
        tree_file: what state.apply has noted of the tree that it applied last.
    """
    gate = pillar.get("settings_gate") or {}
    if gate.get("committed") is None:
        return None
    try:
        applied = read_json(tree_file)
    except ValueError as error:
        return f"{error}: run state.apply"
    return older(applied, gate["revision"], gate["committed"])
