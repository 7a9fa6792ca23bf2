"""How fast the downtime that 30 days allow is being used up, and when somebody has to hear of it. Pure.

Source of the windows and rates: https://sre.google/workbook/alerting-on-slos/ (6: multiwindow, multi-burn-rate alerts)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marketplace_conditions import Finding
from marketplace_slo_lines import DAY, MINUTE, Span, clipped, length

DAYS = 30
HOUR = 3600


@dataclass(frozen=True)
class Pace:
    """A rate that is too much over a long window, as long as it is over a short one as well (seconds).

    A rate of 1 uses up the budget of 30 days in 30 days.
    """

    rate: float
    long: int
    short: int


PACES = (Pace(14.4, HOUR, 5 * MINUTE), Pace(6, 6 * HOUR, 30 * MINUTE))
LONGEST = max(pace.long for pace in PACES)


# Where settings of an older tree say nothing of them: the settings' defaults.
GOAL, QUERY_SECONDS = 99.5, 0.5


def goal_of(settings: Mapping[str, Any]) -> float:
    """The uptime in percent that there has to be."""
    return float(settings.get("monitoring", {}).get("uptime", GOAL))


def query_seconds(settings: Mapping[str, Any]) -> float:
    """How long a query may take."""
    return float(settings.get("monitoring", {}).get("thresholds", {}).get("query", QUERY_SECONDS))


def allowed(goal: float, days: float = DAYS) -> float:
    """The seconds of downtime that so many days allow; ``goal`` in percent."""
    return days * DAY * (100 - goal) / 100


def burn(down: Sequence[Span], now: float, window: float, goal: float) -> float:
    """The rate at which the budget was used over the last ``window`` seconds.

    Args:
        down: when the bot could not be reached. What nobody has seen uses nothing.
        goal: in percent.
    """
    return length(clipped(down, now - window, now)) / (window * (100 - goal) / 100)


def burnt(down: Sequence[Span], now: float, goal: float) -> Iterator[Finding]:
    """That the budget is being used up too fast.

    Args:
        down: of the last ``LONGEST`` seconds.
        now: the time; goal: in percent.
    """
    for pace in PACES:
        if any(burn(down, now, window, goal) < pace.rate for window in (pace.long, pace.short)):
            continue
        minutes = length(clipped(down, now - pace.long, now)) / MINUTE
        words = (
            f"the bot could not be reached for {minutes:.0f} of the last {pace.long / MINUTE:.0f} minutes: "
            f"{DAYS} days allow {allowed(goal) / MINUTE:.0f} ({goal:g}% uptime)"
        )
        yield Finding("slo.budget", "edge", "warning", words, "", "salt-call health.slo")
        return
