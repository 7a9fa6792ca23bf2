"""Waiting for conditions, with a limit and the time it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.support.botapi.client import BotApi


def seconds_until(condition: Callable[[], object], limit: float, told: Callable[[], object] = str) -> float:
    """Ask ``condition`` until it is true; how long that took.

    Fails behind ``limit`` seconds, with what ``told`` has to tell of how it stands then.
    """
    started = asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now - started < limit, f"not within {limit:g} s {told()}"
        # To ask may itself take up what is waited for: half of the time at most.
        time.sleep(max(0.2, min(now - asked, 0.5)))
        asked = time.monotonic()
    return time.monotonic() - started


def delivered(botapi: BotApi, load: str, limit: float = 120) -> dict[str, Any]:
    """Wait until every message of a load was sent and every update delivered or given up; the load's figures."""
    figures: dict[str, Any] = {}

    def settled() -> bool:
        figures.update(botapi.load_progress(load))
        return bool(figures["injected"] == figures["count"] and not figures["stats"]["updates"]["pending"])

    seconds_until(settled, limit)
    return figures
