"""What `health.slo` found, as people read it: a row a question, with a character a day or hour. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marketplace_sparkline import sparkline
from marketplace_terminal import Style

# With them 30 days have just room in 80 columns.
_NAME, _TEXT = 18, 26


def table(found: Mapping[str, Any], style: Style, width: int) -> str:
    """The rows, in lines of at most ``width`` columns.

    Args:
        found: as ``health.slo`` returns it.
    """
    series, up = found["series"], found["uptime"]
    days = f"{found['days']} days" if found["days"] > 1 else "day"
    title = f"The last {days}, since {found['since'][:10]} (UTC), a character {_article(series['step'])}"
    goal = up["goal"]
    # A day that is as bad as all the budget of ten is at the bottom.
    bars = sparkline(series["uptime_percent"], style.unicode, 100 - 10 * (100 - goal), 100)
    spent = found["budget"]
    good = up["percent"] is None or spent["left"] >= 0
    rows = [
        ("uptime", _uptime(up), bars),
        (
            "budget",
            f"{spent['used']:g} of {spent['minutes']:g} min used",
            _from_nothing(series["down_minutes"], style),
        ),
        ("planned", _minutes(up["planned_minutes"]), ""),
        ("not watched", _minutes(up["unknown_minutes"]), ""),
        ("longest outage", _outage(found["longest_outage"]), ""),
        ("answer p50 p95 p99", _durations(found["answers"]), _from_nothing(series["answers_p95_ms"], style)),
        ("query p50 p95 p99", _queries(found["queries"]), _from_nothing(series["queries_p95_ms"], style)),
        ("lost requests", _lost(found["answers"]), _from_nothing(series["lost"], style)),
        ("releases", _counts(found["releases"]), _from_nothing(series["releases"], style)),
        ("rollbacks", _counts(found["rollbacks"]), ""),
        ("restarts", _counts(found["restarts"]), _from_nothing(series["restarts"], style)),
    ]
    room = max(0, width - _NAME - _TEXT - 6)
    lines = [style.paint(style.shorten(title, width - 1), "bold")]
    for name, text, line in rows:
        # The newest are the last, and stay where there is no room for all.
        shown = line[-room:] if room else ""
        cell = f"{style.shorten(text, _TEXT):<{_TEXT}}"
        if name == "uptime":
            cell = style.paint(cell, "green" if good else "red")
        lines.append(f"  {name:<{_NAME}} {cell}  {style.paint(shown, 'cyan')}".rstrip())
    return "\n".join(lines)


def _article(step: str) -> str:
    return "an hour" if step == "hour" else "a day"


def _from_nothing(values: list[float | None], style: Style) -> str:
    return sparkline(values, style.unicode, 0)


def _uptime(up: Mapping[str, Any]) -> str:
    if up["percent"] is None:
        return "nobody has looked yet"
    return f"{up['percent']:g}% (goal {up['goal']:g}%)"


def _outage(outage: Mapping[str, Any] | None) -> str:
    if outage is None:
        return "none"
    began = datetime.fromisoformat(outage["began"])
    return f"{_minutes(outage['minutes'])}, {began:%d %b %H:%M} UTC"


def _durations(found: Mapping[str, Any]) -> str:
    if found["p50_ms"] is None:
        return "nothing was asked"
    return " ".join(f"{_milliseconds(found[f'p{percent}_ms'])}" for percent in (50, 95, 99))


def _queries(found: Mapping[str, Any]) -> str:
    return "unknown: see --out=json" if found["unknown"] else _durations(found)


def _lost(found: Mapping[str, Any]) -> str:
    return f"{found['lost']} of {found['count']} updates"


def _counts(counts: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in sorted(counts.items())) or "none"
    )


def _minutes(minutes: float) -> str:
    return f"{minutes:g} min"


def _milliseconds(milliseconds: float) -> str:
    return f"{milliseconds:.3g}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g}s"
