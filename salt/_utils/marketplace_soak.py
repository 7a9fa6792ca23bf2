"""Watching a new colour that has just gone live: what is an alarm, and what is not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace_container import ContainerState
from marketplace_edge import Counters

# A single failed update may be the update's fault; Telegram repeats it and so makes a real one three within seconds.
FEWEST_ERRORS = 3
# Looks in a row at which the readiness path may fail: a query can be slow once.
UNREADY_LOOKS = 3
# More updates than this waiting at Telegram, with an error since the switch, is no coincidence.
PENDING_GROWTH = 5


@dataclass(frozen=True)
class Baseline:
    """How things were when the watch began; ``pending``: updates waiting at Telegram, None where nobody could say."""

    counters: Counters
    restarts: Mapping[str, int]
    pending: int | None
    switched: float


def containers_alarm(baseline: Baseline, states: Mapping[str, ContainerState]) -> str | None:
    """Whether a container of the new colour died, was restarted, or is unwell."""
    for name, restarts in baseline.restarts.items():
        state = states.get(name)
        if state is None:
            return f"container {name} is gone"
        if state.killed:
            return f"{name} was killed, most likely for using more than its memory limit"
        if state.restarts > restarts:
            again = f"was started again ({state.restarts - restarts} times)"
            return f"{name} exited with code {state.exit_code} and {again}"
        if not state.running:
            return f"{name} is {state.status} (exit code {state.exit_code})"
        if state.health == "unhealthy":
            return f"{name} fails its own health check"
    return None


def since(baseline: Baseline, counters: Counters) -> Counters:
    """What a colour has answered since the watch began. HAProxy counts from zero again when it was reloaded."""
    before = baseline.counters
    if counters.answers < before.answers or counters.errors < before.errors:
        return counters
    return Counters(counters.answers - before.answers, counters.errors - before.errors)


def errors_alarm(baseline: Baseline, counters: Counters, percent: float) -> str | None:
    """Whether too large a share of the answers says that the server failed.

    Args:
        percent: share of 5xx answers from which on it is an alarm.
    """
    seen = since(baseline, counters)
    if seen.errors < FEWEST_ERRORS or seen.errors * 100 < percent * seen.answers:
        return None
    return f"{seen.errors} of {seen.answers} requests failed (5xx), {percent:g}% are an alarm"


def webhook_alarm(baseline: Baseline, info: Mapping[str, Any] | None) -> str | None:
    """Whether Telegram has had errors since the switch and updates pile up there."""
    if info is None or int(info.get("last_error_date") or 0) <= baseline.switched:
        return None
    waiting = int(info.get("pending_update_count") or 0)
    if waiting - (baseline.pending or 0) <= PENDING_GROWTH:
        return None
    return f"Telegram reports '{info.get('last_error_message', 'an error')}', {waiting} updates wait there"
