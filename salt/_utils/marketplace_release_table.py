"""The ledger as people read it: a line a release, and how long they took from the oldest to the newest. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from marketplace_sparkline import sparkline
from marketplace_terminal import Style, lasted

_HEADINGS = ("release", "version", "outcome", "took", "cut-over", "by", "why")


def table(records: Sequence[Mapping[str, Any]], style: Style, width: int) -> str:
    """The table, in lines of at most ``width`` columns.

    Args:
        records: as ``deploy.history`` returns them, newest first.
    """
    rows = [_HEADINGS, *(_row(record) for record in records)]
    # The last is as long as it likes.
    widths = [max(len(row[number]) for row in rows) for number in range(len(_HEADINGS) - 1)]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(room) for cell, room in zip(row, [*widths, 0], strict=True)]
        line = style.shorten("  ".join(cells).rstrip(), width - 3)
        lines.append(
            f"  {style.paint(line, 'dim')}" if not number else f"{_mark(records[number - 1], style)} {line}"
        )
    oldest_first = records[::-1]
    for name, values in (
        ("took", [float(record["seconds"]) for record in oldest_first]),
        ("cut-over", [_cutover(record) for record in oldest_first]),
    ):
        known = [value for value in values if value is not None]
        if known:
            between = f"{lasted(min(known))} to {lasted(max(known))}"
            shown = sparkline(values[-(width - 40) :], style.unicode, 0)
            lines.append(f"  {name:<9} {style.paint(shown, 'cyan')}  {between}, oldest to newest")
    return "\n".join(lines)


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    cutover = _cutover(record)
    outcome = str(record["outcome"]).replace("_", " ")
    return (
        str(record["release"]),
        str(record["version"]),
        f"{outcome} (rollback)" if record.get("kind") == "rollback" else outcome,
        lasted(float(record["seconds"])),
        "" if cutover is None else lasted(cutover),
        str(record["by"]),
        (str(record["reason"]).splitlines() or [""])[0],
    )


def _cutover(record: Mapping[str, Any]) -> float | None:
    cutover = record.get("cutover")
    return None if cutover is None else float(cutover["milliseconds"]) / 1000


def _mark(record: Mapping[str, Any], style: Style) -> str:
    # Whose chain is broken was altered, whatever it says.
    return style.mark("failed" if record.get("chain_broken") else str(record["outcome"]))
