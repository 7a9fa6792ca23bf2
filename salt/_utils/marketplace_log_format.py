"""Rows of ``deploy.logs`` for people: a line each, and below it what belongs to it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace_terminal import Style, clean

_COLOURS = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}


def lines(rows: Iterable[Mapping[str, Any]], colour: bool) -> str:
    """The rows as text.

    Args:
        rows: as ``deploy.logs`` returns them; colour: whether the reader is a terminal that shows colours.
    """
    style = Style(colour, unicode=False)
    return "\n".join(line for row in rows for line in _lines(row, style))


def _lines(row: Mapping[str, Any], style: Style) -> list[str]:
    known = (
        {"update_id": row.get("update_id")} | dict(row.get("fields") or {}) | {"release": row.get("release")}
    )
    more = " ".join(f"{key}={_value(value)}" for key, value in known.items() if value not in ("", None))
    when = f"{row['time'][:10]} {row['time'][11:23]}"
    head = f"{when} {row['service']:<8} {row['level']:<8} {clean(row['message'])}"
    head = f"{head}  {style.paint(clean(more), 'dim')}" if more else head
    below = [f"    {line}" for line in clean(row.get("trace", "")).splitlines()]
    return [style.paint(line, _COLOURS.get(row["level"], "")) for line in (head, *below)]


def _value(value: Any) -> str:
    text = str(value)
    return repr(text) if any(character.isspace() for character in text) else text
