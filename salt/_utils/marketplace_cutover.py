"""How long no colour answered during a switch, judged from the edge's own log. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from marketplace_edge import Answered


def measure(requests: Sequence[Answered], since: float, until: float) -> dict[str, Any] | None:
    """The cut-over that users saw between two instants.

    Args:
        requests: what the edge logged; since, until: seconds since 1970.

    Returns:
        ``milliseconds``: the time during which some request failed (5xx) or had to wait for a colour to take it;
        ``requests`` and ``failed``: how many were seen and how many of them failed; ``slowest_ms``. None where nobody
        asked for anything in that time, for then nothing was measured.
    """
    seen = [request for request in requests if since <= request.end <= until and request.status >= 0]
    if not seen:
        return None
    failed = [request for request in seen if request.status >= 500]
    spans = [(request.end - request.active_ms / 1000, request.end) for request in failed]
    for request in seen:
        if request.retries and request.status < 500:
            begun = request.end - request.active_ms / 1000
            spans.append((begun, begun + request.held_ms / 1000))
    return {
        "milliseconds": round(_covered(spans) * 1000),
        "requests": len(seen),
        "failed": len(failed),
        "slowest_ms": max(request.active_ms for request in seen),
    }


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that at least one of the spans covers."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
