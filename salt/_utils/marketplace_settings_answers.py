"""What ``settings.check``, ``show`` and ``diff`` answer, on the droplet and on a controller alike."""

from collections.abc import Mapping
from typing import Any

from marketplace_settings import environment_of
from marketplace_settings_compare import Side, compare
from marketplace_settings_fields import public
from marketplace_settings_guard import GATE_MISSING
from marketplace_settings_layers import BASE, LOCAL, Layers, environments, roots_of
from marketplace_settings_origin import origins


class Problems(Exception):
    """There is no answer; ``problems`` says why, a sentence each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


def problems(pillar: Mapping[str, Any]) -> list[str]:
    """Every problem of a pillar that has been through the gate."""
    if not (pillar.get("settings_gate") or {}).get("checked"):
        return [GATE_MISSING]
    return [str(problem) for problem in pillar.get("_errors") or []]


def show(opts: Mapping[str, Any], pillar: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Value and origin of the settings whose path is ``section`` or below it; of all where it is empty.

    Raises:
        Problems: the pillar is wrong, or no setting has that path.
    """
    wrong = problems(pillar)
    if wrong:
        raise Problems(*wrong)
    environment = environment_of(opts["id"])
    found = origins(pillar["settings"], Layers(opts, environment).apart((BASE, environment, LOCAL)))
    shown = {
        path: {"value": public(value), "origin": origin}
        for path, (value, origin) in found.items()
        if not section or path == section or path.startswith(f"{section}.")
    }
    if not shown:
        raise Problems(f"{section} is not a known setting. Try: one of {', '.join(pillar['settings'])}")
    return shown


def diff(opts: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """What the settings of environments ``names`` differ in, by path; without what a host has in pillar/local.

    Raises:
        Problems: there is no such environment, or its files can't be rendered.
    """
    known = environments(roots_of(opts))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Problems(
            *(f"there is no environment '{name}'. Try: one of {', '.join(known)}" for name in unknown)
        )
    sides = {}
    for name in names:
        layers = Layers(opts, name)
        try:
            sides[name] = Side(layers.merged((BASE, name)), layers.apart((BASE, name)))
        except ValueError as error:
            raise Problems(f"the pillar of {name} can't be read: {error}") from None
    return compare(sides)
