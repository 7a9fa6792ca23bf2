"""What a running backend was started with: its settings and the secrets it was given, as one digest."""

import hashlib
from collections.abc import Mapping
from typing import Any

from marketplace_paths import Paths
from marketplace_settings import release_settings


def release_digest(settings: Mapping[str, Any], paths: Paths) -> str:
    """A digest that changes with anything a release has to be shipped for, the version aside.

    Args:
        settings: the effective settings.
        paths: where the backend's secrets are delivered. Backends read them when they start, so a changed one waits
            for a release like a changed setting does. What only its migration reads, the next one reads anew.
    """
    found = hashlib.sha256(release_settings(settings)["digest"].encode())
    for file in sorted((paths.delivered / "backend").glob("*")):
        found.update(f"backend/{file.name}".encode() + hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{found.hexdigest()}"
