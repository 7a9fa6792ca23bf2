"""What `health.slo` found, as people read it: a row a question, with a character a day or hour. Pure."""

from collections.abc import Mapping
from typing import Any

from marketplace_sparkline import sparkline
from marketplace_terminal import Style, columns

_NAME, _TEXT = 15, 42


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
        ("uptime", style.paint(_uptime(up), "green" if good else "red"), bars),
        (
            "budget",
            f"{_minutes(spent['used'])} of {_minutes(spent['minutes'])} used",
            _from_nothing(series["down_minutes"], style),
        ),
        ("longest outage", _outage(found["longest_outage"]), ""),
        ("not watched", _minutes(up["unknown_minutes"]), ""),
        ("answers", _durations(found["answers"]), _from_nothing(series["answers_p95_ms"], style)),
        ("queries, about", _queries(found["queries"]), _from_nothing(series["queries_p95_ms"], style)),
        ("lost requests", _lost(found["answers"]), _from_nothing(series["lost"], style)),
        ("releases", _counts(found["releases"]), _from_nothing(series["releases"], style)),
        ("rollbacks", _counts(found["rollbacks"]), ""),
        ("restarts", _counts(found["restarts"]), _from_nothing(series["restarts"], style)),
    ]
    room = max(0, width - _NAME - _TEXT - 5)
    lines = [style.paint(style.shorten(title, width - 1), "bold")]
    for name, text, line in rows:
        # The newest are the last, and stay where there is no room for all.
        shown = line[-room:] if room else ""
        lines.append(f"  {name:<{_NAME}} {_padded(text, style)}  {style.paint(shown, 'cyan')}".rstrip())
    return "\n".join(lines)


def _padded(text: str, style: Style) -> str:
    # What paints takes no columns.
    taken = columns(text) - (len(style.paint("x", "green")) - 1 if text.startswith("\x1b") else 0)
    return text + " " * max(0, _TEXT - taken)


def _article(step: str) -> str:
    return "an hour" if step == "hour" else "a day"


def _from_nothing(values: list[float | None], style: Style) -> str:
    return sparkline(values, style.unicode, 0)


def _uptime(up: Mapping[str, Any]) -> str:
    if up["percent"] is None:
        return "unknown: nobody has looked yet"
    planned = f", {_minutes(up['planned_minutes'])} of it planned" if up["planned_minutes"] else ""
    return f"{up['percent']:g}% (goal {up['goal']:g}%){planned}"


def _outage(outage: Mapping[str, Any] | None) -> str:
    if outage is None:
        return "none"
    return f"{_minutes(outage['minutes'])}, {outage['began'][:16].replace('T', ' ')} UTC"


def _durations(found: Mapping[str, Any]) -> str:
    if found["p50_ms"] is None:
        return "nothing was asked"
    return ", ".join(f"p{percent} {_milliseconds(found[f'p{percent}_ms'])}" for percent in (50, 95, 99))


def _queries(found: Mapping[str, Any]) -> str:
    return "unknown, see --out=json" if found["unknown"] else _durations(found)


def _lost(found: Mapping[str, Any]) -> str:
    return f"{found['lost']} of {found['count']} updates"


def _counts(counts: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in sorted(counts.items())) or "none"
    )


def _minutes(minutes: float) -> str:
    return f"{minutes:g} min"


def _milliseconds(milliseconds: float) -> str:
    return f"{milliseconds:g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"
