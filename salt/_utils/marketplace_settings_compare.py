"""What the settings of two environments differ in, also where neither is complete: that is on the droplets. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace_managed import SERVICES
from marketplace_settings_checks import View
from marketplace_settings_fields import INVALID, Problem, public, read_section, walk
from marketplace_settings_model import Settings
from marketplace_settings_origin import origin
from marketplace_settings_secrets import NEEDED, Sources, read_secrets


@dataclass(frozen=True)
class Side:
    """One environment.

    Args:
        pillar: its merged pillar; layers: the same by the file that says it, lowest first.
    """

    pillar: Mapping[str, Any]
    layers: Mapping[str, Mapping[str, Any]]


def compare(sides: Mapping[str, Side]) -> dict[str, dict[str, dict[str, Any]]]:
    """Settings, by path, that are not the same on all ``sides``: value and origin on each, by its name.

    A setting that is wrong or missing has its ``problem`` in place of a value. Of secrets it is only compared whether
    they are given or generated.
    """
    read = {name: _rows(side) for name, side in sides.items()}
    paths = list(dict.fromkeys(path for rows in read.values() for path in rows))
    absent = {"value": None, "origin": "not used"}
    found = {path: {name: rows.get(path, absent) for name, rows in read.items()} for path in paths}
    return {path: rows for path, rows in found.items() if len({_said(row) for row in rows.values()}) > 1}


def _said(row: Mapping[str, Any]) -> str:
    return repr(row.get("problem", row["value"]))


def _rows(side: Side) -> dict[str, dict[str, Any]]:
    raw = {key: value for key, value in side.pillar.items() if not str(key).startswith("_")}
    secrets = raw.pop("secrets", None)
    problems: list[Problem] = []
    view = View(read_section(Settings, raw, "", problems))
    wrong = {problem.path: problem.wrong for problem in problems}
    rows: dict[str, dict[str, Any]] = {}
    for path, _ in walk(Settings):
        value = view(path)
        if value is INVALID:
            problem = wrong.get(path, "is in a section that is wrong")
            rows[path] = {"value": None, "origin": origin(path, side.layers), "problem": problem}
        else:
            rows[path] = {"value": public(value), "origin": origin(path, side.layers)}
    unset = {path for path in NEEDED if not _set(view(path))}
    managed = [service for service in SERVICES if _set(view(f"{service}.managed.host"))]
    nowhere = Sources(file=lambda _path: "", environment=lambda _name: "")
    for name, kind in read_secrets(secrets, unset, managed, nowhere, []).kinds.items():
        found = origin(f"secrets.{name}", side.layers)
        # Most are given by the droplet's own pillar/local.
        rows[f"secrets.{name}"] = {
            "value": kind,
            "origin": "not here" if (kind, found) == ("given", "generated") else found,
        }
    return rows


def _set(value: Any) -> bool:
    return value is not INVALID and bool(value)
