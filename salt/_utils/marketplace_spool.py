"""The event spool: what operators must hear of, kept on disk until somebody has acknowledged it."""

import contextlib
import os
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk, to_json

SEVERITIES = ("info", "warning", "critical")
# What was acknowledged is not told again while somebody goes on telling it; it is forgotten so many seconds later.
FORGOTTEN = 3 * 86400.0
# What is told where an event itself is damaged.
UNREADABLE = "spool.unreadable"


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``kind`` is dotted and stable (``release.live``); ``data`` holds no secret."""

    id: str
    kind: str
    severity: str
    summary: str
    time: str
    data: dict[str, Any]


_KEYS = tuple(field.name for field in fields(Event))


class Spool:
    """Durable events below ``directory``: a file each, that has another name from when it is acknowledged on."""

    def __init__(self, directory: Path, disk: Disk = DISK) -> None:
        self.directory = directory
        self.disk = disk

    def emit(
        self, kind: str, severity: str, summary: str, data: dict[str, Any] | None = None, subject: str = ""
    ) -> Event:
        """Store an event durably.

        Args:
            subject: what it is about, for example a release's id; the same kind for the same subject is one event,
                however often it is told, also where it was acknowledged before.

        Raises:
            ValueError: ``severity`` is none of SEVERITIES.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity '{severity}' is none of {', '.join(SEVERITIES)}")
        now = datetime.now(UTC)
        identity = f"{subject or f'{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}'}-{kind}"
        event = Event(identity, kind, severity, summary, now.isoformat(timespec="milliseconds"), data or {})
        self.disk.make_directory(self.directory)
        told = bool(subject) and _told(identity) in self.disk.names(self.directory)
        name = _told(identity) if told else _pending(identity)
        self.disk.write(self.directory / name, to_json(vars(event)), mode=0o600)
        return event

    def try_emit(
        self, kind: str, severity: str, summary: str, data: dict[str, Any] | None = None, subject: str = ""
    ) -> None:
        """As :meth:`emit`, of what is as it is whether it can be told or not: a disk that is full is passed over."""
        with contextlib.suppress(OSError):
            self.emit(kind, severity, summary, data, subject)

    def pending(self) -> list[Event]:
        """Unacknowledged events, oldest first."""
        names = [
            name
            for name in self.disk.names(self.directory)
            if name.endswith(".json") and not name.startswith(".")
        ]
        return sorted(filter(None, map(self._read, names)), key=lambda event: (event.time, event.id))

    def _read(self, name: str) -> Event | None:
        """An event from its file; one that tells of the file where that is damaged: the others go on being told."""
        file = self.directory / name
        try:
            document = self.disk.read_json(file)
            if document is None:
                return None
            # A newer tree may have put more into it.
            return Event(**{key: document[key] for key in _KEYS})
        except (ValueError, TypeError, KeyError):
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            words = f"an event could not be read, and nobody knows what it was about: {file}"
            return Event(name.removesuffix(".json"), UNREADABLE, "warning", words, now, {})

    def acknowledge(self, identity: str) -> bool:
        """An event has reached its reader; False when it was not there."""
        try:
            self.disk.rename(self.directory / _pending(identity), self.directory / _told(identity))
        except FileNotFoundError:
            return False
        self.disk.sync_directory(self.directory)
        self._forget(time.time())
        return True

    def _forget(self, now: float) -> None:
        for file in self.directory.glob(_told("*")):
            if now - file.stat().st_mtime >= FORGOTTEN:
                self.disk.unlink(file)


def _pending(identity: str) -> str:
    return f"{identity}.json"


def _told(identity: str) -> str:
    return f"{identity}.told"
