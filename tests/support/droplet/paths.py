"""Where the local droplet keeps what it made: one place, outside the checkout."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
IMAGES = Path(__file__).resolve().parent / "images"

LABEL = "marketplace.local-droplet"
"""Docker label on every container, network, volume and image that this package makes; its value is the site."""

IMAGE = "image"
"""The label's value on images. Containers inherit it, so on one it says nothing about who made the container."""

PASSING = "passing"
"""The label's value on containers that live for one command."""


def state_dir() -> Path:
    """The state directory (``$XDG_CACHE_HOME/marketplace-deploy``), created when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "marketplace-deploy"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def site_dir(site: str) -> Path:
    """The directory of one site's certificates and notes, created when missing."""
    path = state_dir() / "sites" / site
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock ``name`` (two runs may build images or pick a subnet at the same time)."""
    with (state_dir() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
