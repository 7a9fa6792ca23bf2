"""How far back each log reaches, and whether its share of the disk is used up before its time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_log_places import DIRECTORY, FILES, KEEP_FREE, SHARES, share
from marketplace_units import format_size
from marketplace_world import World

# What nobody may go below, whatever the settings say.
LEAST_DAYS = 7
# "system@<sequence>-<first entry's number>-<first entry's time>.journal": microseconds since 1970.
_ARCHIVED = re.compile(r"system@[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{16})\.journal")


@dataclass(frozen=True)
class Journal:
    """A journal as its files are.

    Attributes:
        name: the service's, or "host".
        used, most: bytes that it takes, and may take.
        first: seconds since 1970 of its oldest file's first entry; None while it has but one file.
    """

    name: str
    used: int
    most: int
    first: float | None


@dataclass(frozen=True)
class Short:
    """A journal whose share is used up before its time; ``days``: how far back it reaches."""

    name: str
    days: float
    words: str


def journals(root: Path, size: int) -> list[Journal]:
    """Every journal below ``root`` (``/``); ``size``: bytes for all of them."""
    found = []
    for name in (None, *SHARES):
        files = [
            file
            for directory in (root / DIRECTORY).glob(f"*.{name}" if name else "*")
            if name or "." not in directory.name
            for file in directory.glob("*.journal*")
        ]
        firsts = [int(match[1], 16) / 1e6 for file in files if (match := _ARCHIVED.fullmatch(file.name))]
        found.append(
            Journal(name or "host", sum(map(_bytes, files)), share(size, name), min(firsts, default=None))
        )
    return found


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:  # Let go of meanwhile.
        return 0


def short(found: list[Journal], keep_days: int, free: int, now: float) -> list[Short]:
    """The journals that have no room for what they should keep. Pure.

    Args:
        keep_days: how far back they should reach; free: bytes that are free on their disk; now: seconds since 1970.
    """
    wrong = []
    for journal in found:
        file = journal.most // FILES
        full = journal.used + file >= journal.most
        if journal.first is None or not (full or free <= KEEP_FREE + file):
            continue
        days = (now - journal.first) / 86400
        if days < keep_days:
            why = (
                f"its share of logs.size ({format_size(journal.most)}) is full"
                if full
                else f"only {format_size(free)} of the disk are free"
            )
            who = "the host" if journal.name == "host" else journal.name
            wrong.append(
                Short(
                    journal.name,
                    days,
                    f"the log of {who} reaches back {days:.1f} days, not {keep_days}: {why}",
                )
            )
    return wrong


def look(world: World, settings: Mapping[str, Any]) -> list[Short]:
    """The droplet's journals that have no room for what they should keep.

    Args:
        settings: the effective settings; those of an older tree say nothing of logs, and find nothing.
    """
    logs, root = settings.get("logs"), world.paths.root
    if not logs:
        return []
    free, _ = world.host.free(root / DIRECTORY)
    return short(journals(root, logs["size"]), logs["keep_days"], free, world.clock.now().timestamp())


def tell(world: World, found: list[Short]) -> None:
    """Tell the operators, of each journal once a day."""
    today = f"{world.clock.now():%Y%m%d}"
    for journal in found:
        severity = "critical" if journal.days < LEAST_DAYS else "warning"
        data = {"log": journal.name}
        world.spool.emit("logs.short", severity, journal.words, data, f"{today}-{journal.name}")
