"""Which tree and which pillar were applied last, so that what waits to be applied is not taken for drift."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from marketplace_settings import RUN_OPTIONS

# Of one run, and no part of what a droplet should be.
_OF_A_RUN = (*RUN_OPTIONS, "settings_gate", "_errors")


def fingerprint(roots: Iterable[Path]) -> str:
    """A digest of all files of the tree: it changes with whatever may change what states do.

    Args:
        roots: where Salt has its files from.
    """
    found = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"sha256:{found.hexdigest()}"


def pillar_digest(pillar: Mapping[str, Any]) -> str:
    """A digest of what pillar says, secrets included."""
    lasting = {key: value for key, value in pillar.items() if key not in _OF_A_RUN}
    return f"sha256:{hashlib.sha256(json.dumps(lasting, sort_keys=True, default=str).encode()).hexdigest()}"


def waits(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, str]:
    """What has changed since it was applied last: a sentence each. Pure.

    Args:
        before: what was applied, None where that is not known; now: what would be.
    """
    if before is None:
        return {"applied": "no state.apply has gone well since it is kept on record what was applied"}
    said = {
        "tree": "the tree is another one than was applied",
        "pillar": "pillar says something else than was applied",
    }
    return {key: words for key, words in said.items() if before.get(key) != now[key]}
