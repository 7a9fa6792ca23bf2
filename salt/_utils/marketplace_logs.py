"""Searches the journals: what ``deploy.logs`` does. Reads only."""

import contextlib
import json
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from marketplace_flight import Flight
from marketplace_log_entries import Entry
from marketplace_log_query import Query
from marketplace_log_traces import TOGETHER_SECONDS, together
from marketplace_world import World

_FIELDS = (
    "MESSAGE", "MESSAGE_ID", "PRIORITY", "CONTAINER_NAME", "CONTAINER_PARTIAL_MESSAGE", "SYSLOG_IDENTIFIER",
    "_SYSTEMD_UNIT", "_NAMESPACE",
)  # fmt: skip
# journalctl's own word for "nothing found".
_NOTHING = 1


class LogsError(Exception):
    """The journals cannot be read; the message says what to look at."""


@dataclass(frozen=True)
class Begun:
    """A release that began in a colour at a time (seconds since 1970)."""

    time: float
    colour: str
    release: str


def begun(world: World) -> list[Begun]:
    """Every release that ever began, the one that is on its way included."""
    known = [(record.started, record.colour, record.release) for record in world.ledger.newest(None)]
    entry = world.journal.read()
    if entry is not None:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            flight = Flight.from_dict(entry)
            known.append((flight.started, flight.run.colour, flight.run.release))
    return [Begun(datetime.fromisoformat(started).timestamp(), *rest) for started, *rest in known]


def search(query: Query, releases: Sequence[Begun]) -> tuple[list[Entry], int]:
    """The last of what the query looks for, oldest first, and how many there are in all.

    Args:
        releases: in any order: the edge knows colours only, and these know which release was in one when.

    Raises:
        LogsError: journalctl fails.
    """
    bounded = _around(query) if query.update_id is not None else query
    if bounded is None:
        return [], 0
    releases = sorted(releases, key=lambda one: one.time)
    found: deque[Entry] = deque(maxlen=query.lines or None)
    count = 0
    for entry in together(_read(bounded.arguments())):
        entry = _named(entry, releases)
        if query.takes(entry):
            found.append(entry)
            count += 1
    return sorted(found, key=lambda entry: entry.time), count


def _named(entry: Entry, releases: Sequence[Begun]) -> Entry:
    """The entry with its release, where only its colour is known."""
    if entry.release or not entry.colour:
        return entry
    before = [one for one in releases if one.colour == entry.colour and one.time <= entry.time]
    return replace(entry, release=before[-1].release) if before else entry


def _around(query: Query) -> Query | None:
    """The query bounded to when its update was spoken of, which journalctl finds faster; None where it never was."""
    times = [
        int(record["__REALTIME_TIMESTAMP"]) / 1e6
        for record in _read(
            [*query.arguments(), f"--grep=(?<!\\d){query.update_id}(?!\\d)", "--case-sensitive"]
        )
    ]
    if not times:
        return None
    return replace(query, since=min(times) - TOGETHER_SECONDS, until=max(times) + TOGETHER_SECONDS)


def _read(arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    argv = [
        "journalctl",
        "--output=json",
        f"--output-fields={','.join(_FIELDS)}",
        "--all",
        "--quiet",
        "--no-pager",
    ]
    said = ""
    try:
        process = subprocess.Popen(
            [*argv, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise LogsError(f"journalctl: {error.strerror or error}") from error
    with process:
        for line in process.stdout or ():
            if line.startswith("{"):
                yield json.loads(line)
            else:  # A word of its own.
                said = line.strip()
    if process.returncode not in (0, _NOTHING) or (process.returncode == _NOTHING and said):
        raise LogsError(f"journalctl failed with exit code {process.returncode}: {said or 'no words'}")
