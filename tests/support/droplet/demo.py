"""The demonstration."""

from __future__ import annotations

from .progress import Progress


def run(progress: Progress) -> None:
    raise NotImplementedError
