"""One request of the load, as its log keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    ``start`` is seconds since the epoch, ``ms`` the time until the whole answer was there or the request had failed.
    ``status`` is the HTTP status, or None and ``error`` says why there is none. ``connection`` is ``new`` or
    ``reused``, ``attempt`` counts from 1. ``text`` is what the user said, ``reply`` what the bot answered, and
    ``right`` whether that is what a bot that forgot nothing answers.
    """

    update_id: int
    chat: int
    text: str
    attempt: int
    start: float
    ms: float
    status: int | None
    error: str
    connection: str
    reply: str
    right: bool

    @property
    def ok(self) -> bool:
        """Whether Telegram would take this for delivered."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def end(self) -> float:
        """When it was over, seconds since the epoch."""
        return self.start + self.ms / 1000

    def line(self) -> str:
        """One line of JSON, with its newline."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n"


def parse(text: str) -> list[Entry]:
    """The entries of a log, in the order in which the requests ended. A last line that is not whole is left out.

    Raises:
        ValueError, TypeError: a line that is whole is no entry.
    """
    return [Entry(**json.loads(line)) for line in text.split("\n")[:-1]]


def acknowledged(entries: Iterable[Entry]) -> dict[int, Entry]:
    """By update: the entry with the answer that ended it."""
    return {entry.update_id: entry for entry in entries if entry.ok}
