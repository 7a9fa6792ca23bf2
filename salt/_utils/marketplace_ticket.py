"""A ticket: the directory by which somebody who asks for a release and the process that does it speak to each other.

``request.json`` asks, ``progress.jsonl`` grows while it is done, ``result.json`` answers, and ``settled.json`` says
what became of a release whose process was killed. All of it is a view: the journal and the ledger are what counts.
"""

import contextlib
import json
import secrets
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_durable import read_json, to_json, write_atomic
from marketplace_progress import Progress

KEPT = 20
# A ticket without an answer may be at work; behind this many seconds it no longer is.
ABANDONED_SECONDS = 86400


class Ticket:
    """The ticket in ``directory``, whose name is its id: sortable by time, and never used twice."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def issue(cls, parent: Path, document: Mapping[str, Any]) -> "Ticket":
        """A new ticket below ``parent`` that asks for ``document``; old ones are thrown away.

        Raises:
            OSError: it could not be written.
        """
        parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        identity = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        ticket = cls(parent / identity)
        ticket.directory.mkdir(mode=0o700)
        write_atomic(ticket.directory / "request.json", to_json(document), mode=0o600)
        for old in sorted(parent.glob("*Z-*"), key=lambda path: path.stat().st_mtime_ns)[:-KEPT]:
            if cls(old).over():
                shutil.rmtree(old, ignore_errors=True)
        return ticket

    @property
    def id(self) -> str:
        return self.directory.name

    @property
    def issued(self) -> str:
        """When, written as release ids are."""
        return self.id.partition("-")[0]

    @property
    def unit(self) -> str:
        """The systemd unit that does it."""
        return f"marketplace-release-{self.id}.service"

    def request(self) -> dict[str, Any]:
        """What is asked for.

        Raises:
            FileNotFoundError, ValueError: it says nothing that can be read.
        """
        document = read_json(self.directory / "request.json")
        if not isinstance(document, dict):
            raise FileNotFoundError(f"{self.directory} holds no request")
        return document

    def result(self) -> dict[str, Any] | None:
        """The answer, once there is one."""
        return self._read("result.json")

    def settled(self) -> dict[str, Any] | None:
        """What became of it, where its process was killed and somebody looked after it."""
        return self._read("settled.json")

    def answer(self, result: Mapping[str, Any]) -> None:
        """Write the answer: whole, or not at all."""
        write_atomic(self.directory / "result.json", to_json(result), mode=0o600)

    def settle(self, what: Mapping[str, Any]) -> None:
        """Write what became of a release whose process was killed."""
        write_atomic(self.directory / "settled.json", to_json(what), mode=0o600)

    def over(self) -> bool:
        """Whether nobody can be at work on it any more."""
        names = ("result.json", "settled.json")
        if any((self.directory / name).exists() for name in names):
            return True
        with contextlib.suppress(OSError):
            return time.time() - self.directory.stat().st_mtime > ABANDONED_SECONDS
        return True

    def _read(self, name: str) -> dict[str, Any] | None:
        document = read_json(self.directory / name)
        return document if isinstance(document, dict) else None


class Recorder(Progress):
    """Writes progress into a ticket, a line at a time, and hands it on to another view."""

    def __init__(self, ticket: Ticket, also: Progress) -> None:
        self._file = ticket.directory / "progress.jsonl"
        self._also = also

    def begin(self, step: str) -> None:
        self._append({"event": "begin", "step": step})
        self._also.begin(step)

    def end(self, step: str, outcome: str, seconds: float, detail: str) -> None:
        self._append({"event": "end", "step": step, "outcome": outcome, "seconds": seconds, "detail": detail})
        self._also.end(step, outcome, seconds, detail)

    def say(self, words: str) -> None:
        self._append({"event": "say", "words": words})
        self._also.say(words)

    def _append(self, event: dict[str, Any]) -> None:
        # A full /run costs the view, never the release.
        with contextlib.suppress(OSError, ValueError, TypeError), self._file.open("a") as file:
            file.write(json.dumps(event) + "\n")


class Reader:
    """Reads a ticket's progress as it grows."""

    def __init__(self, ticket: Ticket) -> None:
        self._file = ticket.directory / "progress.jsonl"
        self._read = 0

    def hand_on(self, progress: Progress) -> None:
        """Tell ``progress`` everything that was written since the last time."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            # A line that a killed process left half written says nothing.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                _tell(progress, json.loads(line))


def _tell(progress: Progress, event: dict[str, Any]) -> None:
    if event["event"] == "begin":
        progress.begin(event["step"])
    elif event["event"] == "end":
        progress.end(event["step"], event["outcome"], float(event["seconds"]), event["detail"])
    else:
        progress.say(event["words"])
