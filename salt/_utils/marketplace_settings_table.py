"""Answers of ``settings.show`` and ``settings.diff`` for people. Pure."""

from collections.abc import Mapping
from typing import Any

from marketplace_settings_fields import walk
from marketplace_settings_kinds import Duration, Size
from marketplace_settings_model import Settings
from marketplace_terminal import Style, clean
from marketplace_units import format_size

_KINDS = {path: declared.kind for path, declared in walk(Settings)}


def is_show(answer: Any) -> bool:
    """Whether ``answer`` is one of settings.show."""
    return _are_rows(answer)


def is_diff(answer: Any) -> bool:
    """Whether ``answer`` is one of settings.diff."""
    return isinstance(answer, Mapping) and all(_are_rows(rows) for rows in answer.values())


def show_text(rows: Mapping[str, Mapping[str, Any]], colour: bool) -> str:
    """A line a setting: its path, where it comes from, its value.

    Args:
        rows: as ``settings.show`` returns them; colour: whether the reader is a terminal that shows colours.
    """
    style = Style(colour, unicode=False)
    paths = max(map(len, rows), default=0)
    origins = max((len(row["origin"]) for row in rows.values()), default=0)
    return "\n".join(
        f"{path:<{paths}}  {style.paint(row['origin'].ljust(origins), 'dim')}  {_value(path, row, style)}"
        for path, row in rows.items()
    )


def diff_text(answer: Mapping[str, Mapping[str, Mapping[str, Any]]], colour: bool) -> str:
    """A setting's path, and below it a line an environment: its name, its value, where it comes from."""
    if not answer:
        return "no difference"
    lines, style = [], Style(colour, unicode=False)
    for path, rows in answer.items():
        names = max(map(len, rows))
        lines.append(path)
        for name, row in rows.items():
            where = style.paint(f"({row['origin']})", "dim")
            lines.append(f"    {name:<{names}}  {_value(path, row, style)}  {where}")
    return "\n".join(lines)


def _are_rows(answer: Any) -> bool:
    return isinstance(answer, Mapping) and all(
        isinstance(row, Mapping) and {"value", "origin"} <= set(row) for row in answer.values()
    )


def _value(path: str, row: Mapping[str, Any], style: Style) -> str:
    if row.get("problem"):
        return style.paint(clean(row["problem"]), "red")
    value, kind = row["value"], _KINDS.get(path)
    if isinstance(kind, Size):
        return format_size(value)
    if isinstance(kind, Duration):
        return f"{value}s"
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    first, *more = clean(str(value)).splitlines()
    return f"{first} (and {len(more)} more lines)" if more else first
