"""How far back each log reaches, where Prometheus' exporter of the host finds it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from marketplace_durable import write_atomic
from marketplace_log_reach import Journal, journals
from marketplace_metrics import TEXTFILES, wanted
from marketplace_world import World

NAME = "marketplace_log_days"


def exposition(found: Iterable[Journal], now: float) -> str:
    """The metrics, as the exporter reads them: of journals that have more than one file, so that it is known. Pure.

    Args:
        found: every journal; now: seconds since 1970.
    """
    lines = [f"# HELP {NAME} Days that a log reaches back.", f"# TYPE {NAME} gauge"]
    lines += [
        f'{NAME}{{log="{journal.name}"}} {(now - journal.first) / 86400:.2f}'
        for journal in found
        if journal.first is not None
    ]
    return "\n".join([*lines, ""])


def publish(world: World, settings: Mapping[str, Any]) -> None:
    """Renew the exporter's file, where there is an exporter.

    Args:
        settings: the effective settings.
    """
    directory = world.paths.root / Path(TEXTFILES).relative_to("/")
    if wanted(settings) and directory.is_dir():
        found = journals(world.paths.root, settings["logs"]["size"])
        write_atomic(directory / "logs.prom", exposition(found, world.clock.now().timestamp()), 0o644)
