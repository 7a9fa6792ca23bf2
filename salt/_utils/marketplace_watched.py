"""What the watchdog has found, for who asks: health.check and deploy.status. Reads only."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_durable import read_json

# The watchdog writes at least twice as often.
LATE = 90.0


def watched(file: Path, now: float | None = None) -> dict[str, Any]:
    """What is wrong by the watchdog, and whether it watches.

    Args:
        file: where it writes.
        now: the time, in seconds since 1970.

    Returns:
        ``watching``; ``problem``, in words (or None); ``figures`` (marketplace_watch_figures; none while nobody
        watches); ``alerts``, the most severe first, each with ``name``,
        ``service``, ``severity``, ``summary``, ``since``, ``cause`` and ``command``.
    """
    now = time.time() if now is None else now
    try:
        told = read_json(file)
        watching = told is not None and now - float(told["looked"]) < LATE
        alerts = [_row(raw) for raw in told["alerts"]] if told else []
        problem = str(told["trouble"]) or None if told else None
        figures = dict(told.get("figures") or {}) if told else {}
    except (ValueError, KeyError, TypeError):  # of another tree, whose watchdog is not there any more
        watching, alerts, problem, figures = False, [], None, {}
    if not watching:
        problem = "nobody watches: what hangs is not restarted, nobody is told; see: systemctl status marketplace-watch"
        alerts, figures = [], {}
    order = {"critical": 0, "warning": 1}
    return {
        "watching": watching,
        "problem": problem,
        "figures": figures,
        "alerts": sorted(alerts, key=lambda row: (order.get(row["severity"], 2), row["since"])),
    }


def _row(raw: dict[str, Any]) -> dict[str, Any]:
    finding = raw["finding"]
    return {
        **{key: finding[key] for key in ("name", "service", "severity", "summary", "cause", "command")},
        "since": datetime.fromtimestamp(raw["since"], UTC).isoformat(timespec="seconds"),
    }
