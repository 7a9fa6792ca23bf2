"""Rows of ``deploy.logs`` for people: a line each, and below it what belongs to it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace_terminal import clean

_COLOURS = {"warning": "33", "error": "31", "critical": "31;1", "debug": "2"}


def lines(rows: Iterable[Mapping[str, Any]], colour: bool) -> str:
    """The rows as text.

    Args:
        rows: as ``deploy.logs`` returns them; colour: whether the reader is a terminal that shows colours.
    """
    return "\n".join(line for row in rows for line in _lines(row, colour))


def _lines(row: Mapping[str, Any], colour: bool) -> list[str]:
    known = (
        {"update_id": row.get("update_id")} | dict(row.get("fields") or {}) | {"release": row.get("release")}
    )
    more = " ".join(f"{key}={_value(value)}" for key, value in known.items() if value not in ("", None))
    when = f"{row['time'][:10]} {row['time'][11:23]}"
    head = f"{when} {row['service']:<8} {row['level']:<8} {clean(row['message'])}"
    head = f"{head}  {_paint(clean(more), '2', colour)}" if more else head
    below = [f"    {line}" for line in clean(row.get("trace", "")).splitlines()]
    return [_paint(line, _COLOURS.get(row["level"], ""), colour) for line in (head, *below)]


def _value(value: Any) -> str:
    text = str(value)
    return repr(text) if any(character.isspace() for character in text) else text


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code and text else text
