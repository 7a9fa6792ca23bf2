"""The event spool: what operators must hear of, kept on disk until somebody has acknowledged it."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_durable import fsync_directory, make_directory, read_json, to_json, write_atomic

SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``kind`` is dotted and stable (``release.live``); ``data`` holds no secret."""

    id: str
    kind: str
    severity: str
    summary: str
    time: str
    data: dict[str, Any]


class Spool:
    """Durable events below ``directory``; an event is a file until it is acknowledged."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def emit(
        self, kind: str, severity: str, summary: str, data: dict[str, Any] | None = None, subject: str = ""
    ) -> Event:
        """Store an event durably.

        Args:
            subject: what it is about, for example a release's id; the same kind for the same subject is one event,
                however often it is told.

        Raises:
            ValueError: ``severity`` is none of SEVERITIES.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity '{severity}' is none of {', '.join(SEVERITIES)}")
        now = datetime.now(UTC)
        identity = f"{subject or f'{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}'}-{kind}"
        event = Event(identity, kind, severity, summary, now.isoformat(timespec="milliseconds"), data or {})
        make_directory(self.directory)
        write_atomic(self.directory / f"{identity}.json", to_json(vars(event)), mode=0o600)
        return event

    def pending(self) -> list[Event]:
        """Unacknowledged events, oldest first."""
        documents = (read_json(path) for path in self.directory.glob("[0-9]*.json"))
        events = [Event(**document) for document in documents if document]
        return sorted(events, key=lambda event: (event.time, event.id))

    def acknowledge(self, identity: str) -> bool:
        """Drop an event that has reached its reader; False when it was not there."""
        try:
            (self.directory / f"{identity}.json").unlink()
        except FileNotFoundError:
            return False
        fsync_directory(self.directory)
        return True
