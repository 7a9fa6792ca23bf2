"""Figures over deliveries."""

from typing import Any

from .bots import Bot


def _percentile(ordered: list[float], part: float) -> float:
    return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        "p50": _percentile(ordered, 0.5),
        "p99": _percentile(ordered, 0.99),
        "max": _percentile(ordered, 1),
    }


def figures(bot: Bot, after: int) -> dict[str, Any]:
    """What became of the updates after that id. Times are real milliseconds."""
    chosen = [delivery for delivery in bot.deliveries if delivery.update_id > after]
    attempts = [attempt for delivery in chosen for attempt in delivery.attempts]
    results: dict[str, int] = {}
    for attempt in attempts:
        results[attempt["result"]] = results.get(attempt["result"], 0) + 1
    outcomes = {name: sum(d.outcome == name for d in chosen) for name in ("pending", "delivered", "dropped")}
    return {
        "updates": {"total": len(chosen), **outcomes},
        "attempts": results,
        "repeated": sum(len(delivery.attempts) > 1 for delivery in chosen),
        "answer_ms": _summary([a["seconds"] for a in attempts if a["result"].startswith("2")]),
        "delivery_ms": _summary(
            [d.seconds for d in chosen if d.outcome == "delivered" and d.seconds is not None]
        ),
        "calls": dict(bot.calls),
        "last_update": chosen[-1].update_id if chosen else after,
        "factor": bot.clock.factor,
    }
