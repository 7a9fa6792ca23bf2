"""Where each effective setting comes from."""

from collections.abc import Mapping
from typing import Any

from marketplace_settings_fields import value_at, walk
from marketplace_settings_model import Settings

_SETTABLE = dict(walk(Settings))
_NOTHING = object()


def origins(
    settings: Mapping[str, Any], layers: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Any, str]]:
    """Value and origin of every setting, by dotted path; mappings that pillar sets as one setting are one entry.

    Args:
        settings: plain settings, as the parser made them.
        layers: pillar by the file that says it, lowest first.
    """
    return {path: (value, origin(path, layers)) for path, value in _leaves(settings)}


def origin(path: str, layers: Mapping[str, Mapping[str, Any]]) -> str:
    """The file that setting ``path`` comes from: the last that says it; else ``default``, or ``derived``.

    Secrets that no file gives are ``generated`` on the droplet.
    """
    secret = path.startswith("secrets.")
    if path not in _SETTABLE and not secret:
        return "derived"
    for layer in reversed(list(layers)):
        if value_at(layers[layer], path, _NOTHING) is not _NOTHING:
            return layer
    return "generated" if secret else "default"


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping) or path in _SETTABLE:
        return [(path, value)]
    return [
        leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else str(key))
    ]
