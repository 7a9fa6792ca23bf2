"""Where each effective setting comes from."""

from collections.abc import Mapping
from typing import Any

from marketplace_settings_fields import walk
from marketplace_settings_model import Settings

_SETTABLE = dict(walk(Settings))
_NOTHING = object()


def origins(
    settings: Mapping[str, Any], layers: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Any, str]]:
    """Value and origin of every setting, by dotted path.

    Args:
        settings: plain settings, as the parser made them.
        layers: pillar by the name of its source, lowest first.

    The origin is a layer's name, ``default``, ``derived``, or ``command line`` where no layer says a value
    that can't be a default either. Mappings that pillar sets as one setting are one entry.
    """
    found: dict[str, tuple[Any, str]] = {}
    for path, value in _leaves(settings):
        found[path] = (value, _origin(path, layers))
    return found


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping) or path in _SETTABLE:
        return [(path, value)]
    return [
        leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else str(key))
    ]


def _origin(path: str, layers: Mapping[str, Mapping[str, Any]]) -> str:
    section = path.split(".")[0]
    if path not in _SETTABLE and section != "secrets":
        return "derived"
    for layer in reversed(list(layers)):
        if _at(layers[layer], path) is not _NOTHING:
            return layer
    return "derived" if section == "secrets" else "default"


def _at(pillar: Mapping[str, Any], path: str) -> Any:
    value: Any = pillar
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _NOTHING
        value = value[part]
    return value
