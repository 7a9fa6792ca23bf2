"""Plain lines put together again that were written as one: a stack trace, a statement, a line cut in pieces. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from marketplace_log_entries import Entry, entry_of, text_of

# Docker cuts longer lines into pieces of just this size.
PIECE_BYTES = 16384
# What belongs together is written at once; a busy machine may take a moment in between.
TOGETHER_SECONDS = 1.0
_TRACE = re.compile(r"\s*(\+ Exception Group )?Traceback \(most recent call last\)")
_GOES_ON = re.compile(r"(During handling of the above|The above exception was|Caused by:)")
# "[41] app@marketplace STATEMENT:  SELECT ..." belongs to the ERROR of the same process.
_DETAIL = re.compile(r"(\[\d+\].*?)(DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION):  ")


def together(records: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    """Entries from a journal's records (oldest first), each whole. An entry comes when it is known to be."""
    open_entries: dict[str, _Open] = {}
    for record in _joined(records):
        entry = entry_of(record)
        current = open_entries.get(entry.source)
        if current is not None:
            if current.takes(entry):
                continue
            yield open_entries.pop(entry.source).entry()
        if entry.whole:
            yield entry
        else:
            open_entries[entry.source] = _Open(entry)
    for current in open_entries.values():
        yield current.entry()


class _Open:
    """A plain line, and those that belong to it so far."""

    def __init__(self, entry: Entry) -> None:
        self._first = entry
        self._last = entry
        self._lines = [entry.message]
        self._tracing = bool(_TRACE.match(entry.message))

    def takes(self, entry: Entry) -> bool:
        """Whether a line belongs to this one as well; then it is taken."""
        if entry.whole or entry.time - self._last.time > TOGETHER_SECONDS or not self._belongs(entry.message):
            return False
        self._tracing = self._tracing or bool(_TRACE.match(entry.message))
        self._lines.append(entry.message)
        self._last = entry
        return True

    def _belongs(self, line: str) -> bool:
        if not line or line[0].isspace() or _TRACE.match(line):
            return True
        if self._tracing:
            # Behind the last frame comes the error itself, and it may have a cause.
            return self._lines[-1][:1].isspace() or bool(
                _TRACE.match(self._lines[-1]) or _GOES_ON.match(line)
            )
        detail = _DETAIL.match(line)
        return bool(detail) and self._first.message.startswith(str(detail and detail[1]))

    def entry(self) -> Entry:
        """All of it. A trace that nothing stands above is called by its error."""
        lines = self._lines
        while len(lines) > 1 and not lines[-1]:
            lines.pop()
        level = "error" if self._tracing and self._first.level in ("debug", "info") else self._first.level
        if len(lines) == 1:
            return replace(self._first, level=level)
        if _TRACE.match(lines[0]):
            named = next((line for line in reversed(lines) if line and not line[0].isspace()), lines[0])
            return replace(self._first, level=level, message=named, trace="\n".join(lines))
        return replace(self._first, level=level, trace="\n".join(lines[1:]))


def _joined(records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Records with the pieces of a long line put together."""
    begun: dict[str, dict[str, Any]] = {}
    for record in records:
        source = f"{record.get('CONTAINER_NAME')}{record.get('SYSLOG_IDENTIFIER')}{record.get('PRIORITY')}"
        text = text_of(record)
        if source in begun:
            whole = begun[source]
            whole["MESSAGE"] += text
        else:
            whole = {**record, "MESSAGE": text}
        if _goes_on(record, text):
            begun[source] = whole
            continue
        begun.pop(source, None)
        yield whole
    yield from begun.values()


def _goes_on(record: Mapping[str, Any], piece: str) -> bool:
    if "CONTAINER_NAME" in record:
        return record.get("CONTAINER_PARTIAL_MESSAGE") == "true"
    # Blanks at its end are lost on the way.
    return len(piece.encode()) >= PIECE_BYTES - 3
