"""What a journal's records say: level, words, release and update of a line in whatever form. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from marketplace_log_places import service_of

LEVELS = ("debug", "info", "warning", "error", "critical")
# Other words for them.
_WORDS = {name: name for name in LEVELS} | {
    "trace": "debug", "verbose": "debug", "log": "info", "notice": "info", "warn": "warning", "err": "error",
    "crit": "critical", "fatal": "critical", "panic": "critical", "alert": "critical", "emerg": "critical",
}  # fmt: skip
# The journal's own levels, 0 to 7.
_PRIORITIES = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
# A level in capitals near the beginning of a plain line, as PostgreSQL and most loggers write it.
_LEVEL = re.compile(r"\b(DEBUG[1-5]?|INFO|LOG|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL|PANIC)\b")
_NEAR = 80
# "1:M 25 Nov 2026 08:15:00.123 # words"
_REDIS = re.compile(r"\d+:[A-Z] \d+ \w{3} \d{4} [\d:.]+ ([.*#-]) ")
_REDIS_LEVELS = {".": "debug", "-": "info", "*": "info", "#": "warning"}
_UPDATE = re.compile(r"""\bupdate_id["']?\s*[=:]\s*(\d+)""")
# Where an application's JSON line has its stack trace (docs/contract.md: "exception").
_TRACES = ("exception", "traceback", "stack", "stack_info", "exc_info")
_KNOWN = {"time", "timestamp", "level", "message", "release", "update_id", *_TRACES}


@dataclass(frozen=True)
class Entry:
    """One thing that was said.

    Attributes:
        time: seconds since 1970; source: the container, unit or program that said it.
        release: the release it belongs to; "" where it belongs to none; colour: that it came from or went to, or "".
        trace: a stack trace or other lines below the message.
        fields: what else a JSON line holds.
        whole: whether it is complete by itself, so that no later line belongs to it.
    """

    time: float
    service: str
    source: str
    level: str
    message: str
    release: str = ""
    colour: str = ""
    update_id: int | None = None
    trace: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False

    def row(self) -> dict[str, Any]:
        """The entry as ``deploy.logs`` returns it, without what it does not have."""
        said = {
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds"),
            "service": self.service,
            "source": self.source,
            "level": self.level,
            "message": self.message,
            "release": self.release,
            "update_id": self.update_id,
            "trace": self.trace,
            "fields": dict(self.fields),
        }
        return {key: value for key, value in said.items() if value not in ("", None, {})}


def text_of(record: Mapping[str, Any]) -> str:
    """A record's message; journalctl gives bytes as a list of numbers where they are no plain text."""
    message = record.get("MESSAGE")
    if isinstance(message, list) and all(isinstance(byte, int) for byte in message):
        return bytes(message).decode(errors="replace")
    if isinstance(message, list):  # One record may hold the field more than once.
        return str(message[0])
    return message if isinstance(message, str) else ""


def entry_of(record: Mapping[str, Any]) -> Entry:
    """What a record says."""
    service = service_of(record)
    # Containers have "name/release" for a tag.
    identifier, _, release = str(record.get("SYSLOG_IDENTIFIER", "")).partition("/")
    source = str(record.get("CONTAINER_NAME") or identifier or record.get("_SYSTEMD_UNIT") or "")
    colour = source.rpartition("-")[2]
    said = text_of(record)
    bare = Entry(
        time=int(record.get("__REALTIME_TIMESTAMP", 0)) / 1e6,
        service=service,
        source=source,
        level=_PRIORITIES[min(int(record.get("PRIORITY", 6)), 7)],
        message=said.rstrip(),
        release=release,
        colour=colour if colour in ("blue", "green") else "",
    )
    document = _document(said)
    if document is None:
        found = _UPDATE.search(said)
        return replace(bare, level=_plain_level(said, bare.level), update_id=int(found[1]) if found else None)
    return _edge(bare, document) if service == "edge" else _structured(bare, document)


def _document(said: str) -> dict[str, Any] | None:
    if not said.startswith("{"):
        return None
    try:
        document = json.loads(said)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _structured(bare: Entry, document: Mapping[str, Any]) -> Entry:
    """A line of JSON as docs/contract.md asks for it."""
    trace = next((str(document[key]) for key in _TRACES if document.get(key)), "")
    return replace(
        bare,
        level=_WORDS.get(str(document.get("level", "")).lower(), bare.level),
        message=str(document.get("message", bare.message)),
        release=str(document.get("release") or bare.release),
        update_id=_number(document.get("update_id")),
        trace=trace.strip("\n"),
        fields={key: value for key, value in document.items() if key not in _KNOWN},
        whole=True,
    )


def _edge(bare: Entry, document: Mapping[str, Any]) -> Entry:
    """A request that the edge has answered."""
    status = int(document.get("status") or 0)
    level = "error" if status >= 500 else "warning" if status >= 400 else "info"
    words = f"{document.get('method') or '-'} {document.get('path') or '-'}"
    known = ("method", "path", "status", "colour", "update_id", "active_ms")
    return replace(
        bare,
        level=level,
        message=f"{words}: {status} in {document.get('active_ms')} ms",
        colour=str(document.get("colour") or ""),
        update_id=_number(document.get("update_id")),
        fields={
            key: value for key, value in document.items() if key not in known and value not in ("", None)
        },
        whole=True,
    )


def _number(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() else None


def _plain_level(said: str, otherwise: str) -> str:
    mark = _REDIS.match(said)
    if mark:
        return _REDIS_LEVELS[mark[1]]
    found = _LEVEL.search(said[:_NEAR])
    return _WORDS[found[1].rstrip("12345").lower()] if found else otherwise
