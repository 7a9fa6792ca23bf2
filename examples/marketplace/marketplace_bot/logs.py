"""One JSON object a line on stdout: logs are selected by its fields, so even a stack trace stays on one line."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from .config import Identity

_update_id: ContextVar[int | None] = ContextVar("update_id", default=None)


@contextmanager
def about_update(update_id: int) -> Iterator[None]:
    """Stamp every line logged inside with the update's id, the thread through edge, application and database."""
    token = _update_id.set(update_id)
    try:
        yield
    finally:
        _update_id.reset(token)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON and blots out secrets, wherever a library may have put them."""

    def __init__(self, identity: Identity | None = None, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._constant = (
            {"release": identity.release, "version": identity.version, "colour": identity.colour}
            if identity
            else {}
        )
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._constant,
        }
        if (update_id := _update_id.get()) is not None:
            line["update_id"] = update_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        text = json.dumps(line, ensure_ascii=False, default=str)
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


def configure(level: str, identity: Identity | None = None, secrets: tuple[str, ...] = ()) -> None:
    """Send every logger to stdout as JSON. `level` is a logging level's name in capitals."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(identity, secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # aiogram reports each update at INFO and sqlalchemy each statement: our own line for an update says more.
    for noisy in ("aiogram.event", "sqlalchemy.engine", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
