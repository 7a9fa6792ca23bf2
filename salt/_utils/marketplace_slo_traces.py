"""What the droplet knows of a time in which nobody looked: when it was started, what its journal and backups say."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketplace_paths import Paths
from marketplace_slo_gap import Gap, stops

EDGE = "haproxy.service"
_SECONDS = 20.0
# What systemd says of a unit: https://github.com/systemd/systemd/blob/main/catalog/systemd.catalog.in
_STARTED = "39f53479d3a045ac8e11786248231fbf"
_ENDED = (
    "9d1aaa27d60140bd96365438aad20286",  # stopped
    "7ad2d189f7e94e70a38c781354912448",  # it succeeded, which is no better
    "d9b373ed55a64feb8242e02dbe79a49c",  # it failed
)


def machine(root: Path = Path("/")) -> str:
    """By what this machine is told from another that had the same record: eight letters."""
    try:
        return (root / "etc/machine-id").read_text().strip()[:8]
    except OSError:
        return ""


def gap(paths: Paths, since: float, until: float, same: bool) -> Gap:
    """What is known of the time between two instants.

    Args:
        same: whether it was this machine that was watched before.
    """
    booted = 0.0
    try:
        booted = _booted(paths.root / "proc")
        if booted <= since:
            return Gap(since, until, booted, closed=stops(_events(since, until), until))
        return Gap(since, until, booted, _said(booted) if same else _streamed(paths))
    except (OSError, ValueError, LookupError, StopIteration, subprocess.SubprocessError) as error:
        print(f"nothing tells what was between {since:.0f} and {until:.0f}: {error}", flush=True)
        return Gap(since, until, booted)


def _booted(proc: Path) -> float:
    """When the first process began, in seconds since 1970: in a container that is not the kernel's boot."""
    ticks = int((proc / "1/stat").read_text().rpartition(")")[2].split()[19])
    kernel = next(line for line in (proc / "stat").read_text().splitlines() if line.startswith("btime "))
    return float(kernel.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def _said(before: float) -> float | None:
    """When something was last written into the journal before an instant."""
    # Its clock ticks in hundredths: what the new boot says first is not to be taken for the old one's last word.
    rows = list(_journal(f"--until=@{before - 1:.3f}", "--lines=1"))
    return _at(rows[-1]) if rows else None


def _streamed(paths: Paths) -> float | None:
    """When the lost machine last sent something of the database's log to the copy of its backups."""
    born = (paths.root / "etc/machine-id").stat().st_mtime
    files = (paths.backups / "barman").rglob("0*")
    return max((at for file in files if (at := file.stat().st_mtime) < born), default=None)


def _events(since: float, until: float) -> Iterator[tuple[float, bool]]:
    """When the edge was started or ended."""
    for row in _journal(f"--since=@{since:.3f}", f"--until=@{until:.3f}", f"--unit={EDGE}"):
        if row.get("MESSAGE_ID") in (_STARTED, *_ENDED):
            yield _at(row), row["MESSAGE_ID"] == _STARTED


def _journal(*options: str) -> Iterator[dict[str, Any]]:
    argv = ["journalctl", "--output=json", "--output-fields=MESSAGE_ID", "--no-pager", "--quiet", *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=True)
    yield from (json.loads(line) for line in done.stdout.splitlines())


def _at(row: dict[str, Any]) -> float:
    return int(row["__REALTIME_TIMESTAMP"]) / 1e6
