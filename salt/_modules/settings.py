"""The effective settings: what they are, where each comes from, and what is wrong with them."""

from pathlib import Path
from typing import Any

import salt.pillar
from marketplace_settings import environment_of
from marketplace_settings_fields import public
from marketplace_settings_guard import GATE_MISSING
from marketplace_settings_origin import origins

_LAYERS = ("base", "local")


def check() -> list[str]:
    """Every problem of the pillar, each with its path, what is wrong and what to try; an empty list where all is well.

    The exit code is 1 where there are problems.

    CLI Example:

    .. code-block:: bash

        salt-call settings.check
    """
    problems = _problems()
    if problems:
        __context__["retcode"] = 1
    return problems


def show(section: str = "") -> dict[str, Any]:
    """The effective settings, each with its value and its origin.

    Sizes are bytes, durations seconds. The origin is the pillar directory that a value comes from (base, an
    environment, local), ``default`` or ``derived``. Secrets show where they come from and never a value.

    Args:
        section: only settings whose path starts with it, such as ``postgres`` or ``postgres.limits``.

    Where the pillar has problems, the answer is ``{"problems": [...]}`` and the exit code 1.

    CLI Example:

    .. code-block:: bash

        salt-call settings.show
        salt-call settings.show postgres.limits
    """
    problems = _problems()
    if problems:
        __context__["retcode"] = 1
        return {"problems": problems}
    settings = __pillar__["settings"]
    found = origins(settings, _layers(environment_of(__opts__["id"])))
    return {
        path: {"value": public(value), "origin": origin}
        for path, (value, origin) in found.items()
        if not section or path == section or path.startswith(f"{section}.")
    }


def _problems() -> list[str]:
    if not (__pillar__.get("settings_gate") or {}).get("checked"):
        return [GATE_MISSING]
    return [str(problem) for problem in __pillar__.get("_errors") or []]


def _layers(environment: str) -> dict[str, dict[str, Any]]:
    """The pillar of each layer alone, lowest first."""
    roots = [Path(root) for root in __opts__["pillar_roots"].get("base", [])]
    compiler = salt.pillar.Pillar({**__opts__, "ext_pillar": []}, dict(__grains__), __opts__["id"], "base")
    layers: dict[str, dict[str, Any]] = {}
    for layer in (_LAYERS[0], environment, _LAYERS[1]):
        if any((root / layer / "init.sls").is_file() or (root / f"{layer}.sls").is_file() for root in roots):
            pillar, _errors = compiler.render_pillar({"base": [layer]})
            layers[layer] = pillar
    return layers
