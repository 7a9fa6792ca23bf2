"""Writes what the engine writes in fewer microseconds, for searches of thousands of runs. The meaning is the same."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import yaml
from marketplace_durable import to_json


def _compact(document: Any, **how: Any) -> str:
    return json.dumps(document, sort_keys=True)


def _plain(value: Any) -> Any:
    """A dataclass as plain data that shares its dictionaries, which is enough for what is written at once."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


# Every JSON document is a YAML document.
_YAML = SimpleNamespace(
    safe_dump=_compact,
    safe_load=json.loads,
    load=lambda text, _loader: json.loads(text),
    YAMLError=ValueError,
)


@contextmanager
def quick() -> Iterator[None]:
    """Inside, the engine copies less, and writes JSON without indentation and where it would write YAML."""
    changed: list[tuple[Any, str, Any]] = []
    for module in [module for name, module in sys.modules.items() if name.startswith("marketplace_")]:
        for name, usual, instead in (
            ("to_json", to_json, _compact),
            ("yaml", yaml, _YAML),
            ("asdict", asdict, _plain),
        ):
            if getattr(module, name, None) is usual:
                changed.append((module, name, usual))
                setattr(module, name, instead)
    try:
        yield
    finally:
        for module, name, usual in changed:
            setattr(module, name, usual)
