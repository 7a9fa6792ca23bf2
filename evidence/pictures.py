"""Pictures of what was measured: latency around a switch, recovery times, runs with nothing to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import pygal
from pygal.style import CleanStyle

from tests.support.results import Part

from .month import Month

_STYLE = CleanStyle(font_family="sans-serif", background="#ffffff", plot_background="#ffffff")
_COMMON: Mapping[str, Any] = {
    # Neither scripts nor fonts from elsewhere, and the same file from the same data.
    "js": (), "no_prefix": True, "style": _STYLE, "width": 860, "height": 380, "disable_xml_declaration": True,
    "legend_at_bottom": True,
}  # fmt: skip


def pictures(parts: Iterable[Part], month: Month) -> dict[str, str]:
    """File name -> SVG, of everything that was measured so that it can be drawn."""
    series = {name: points for part in parts for name, points in part.series.items()}
    found = {}
    if points := series.get("latency around a switch"):
        found["latency.svg"] = latency(points)
    if points := series.get("a run with nothing to do"):
        found["nothing-to-do.svg"] = bars("A run with nothing to do, seconds", points)
    times = [(name, median(seconds)) for name, seconds in month.times.items() if seconds]
    if times:
        found["recovery.svg"] = bars("Until well again, seconds (medians)", times)
    return found


def latency(points: Sequence[Sequence[Any]]) -> str:
    """Milliseconds of answers by seconds from a switch: (second, p50, p95, slowest)."""
    chart = pygal.XY(
        title="Answers around a switch, milliseconds", x_title="seconds from the switch", **_COMMON
    )
    for column, name in ((1, "half are faster"), (2, "95 of 100 are faster"), (3, "slowest")):
        chart.add(name, [(row[0], row[column]) for row in points if row[column] is not None], show_dots=False)
    return _drawn(chart)


def bars(title: str, rows: Sequence[Sequence[Any]]) -> str:
    """One bar each: (name, number)."""
    chart = pygal.HorizontalBar(title=title, print_values=True, show_legend=True, **_COMMON)
    for name, number in rows:
        chart.add(str(name), float(number), formatter=lambda value: f"{value:.1f}")
    return _drawn(chart)


def _drawn(chart: Any) -> str:
    # Without its JavaScript: nothing here moves.
    return (
        re.sub("<script.*?</script>", "", str(chart.render(is_unicode=True)), flags=re.DOTALL).strip() + "\n"
    )
