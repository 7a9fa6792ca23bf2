"""Releases that are killed half way, and what has to be true afterwards."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

from marketplace_steps import STEP_NAMES

from tests.support import alerts, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import Answer
from tests.support.waiting import seconds_until

Act = Callable[[Droplet], Answer]
BEGINS_SECONDS = 60
BOOT_SECONDS = 180
SWITCHED = STEP_NAMES.index("switch")


def switched_by(place: str) -> bool:
    """Whether the new version is live already at ``<step>:start`` or ``<step>:end``: killed there, it is finished."""
    step, _, when = place.partition(":")
    index = STEP_NAMES.index(step)
    return index > SWITCHED or (index == SWITCHED and when == "end")


def kill_at(droplet: Droplet, place: str, act: Act, version: str, before: str) -> dict[str, Any]:
    """Kill what ``act`` starts with SIGKILL, just where it reaches ``place``, and see that all is well without a hand.

    Args:
        version: that it would ship; before: that is live until then.

    Returns:
        What its caller was told.
    """
    with shipping.stopped_at(droplet, place, act) as (pid, answer):
        # Whoever settles reaches the same places, and has to go on there.
        droplet.run(["rm", shipping.PAUSE])
        shipping.kill(droplet, pid)
        told: dict[str, Any] = answer.result().value
    shipping.wait_settled(droplet)
    finished = switched_by(place)
    shipping.assert_sound(droplet, version if finished else before)
    # At the switch itself nobody can tell from outside whether there was something to take back.
    assert told["outcome"] in (("live",) if finished else ("failed", "rolled_back")), told
    return told


def kill_after(droplet: Droplet, seconds: float, act: Act, versions: tuple[str, str]) -> str:
    """Kill what ``act`` starts so many seconds after it began, wherever it is then.

    Args:
        versions: one of these has to be live afterwards.

    Returns:
        Where it was killed: the step in the journal, or that it was over.
    """
    with shipping.beside(droplet, act) as (answer,):
        seconds_until(lambda: answer.done() or shipping.engine_pids(droplet), BEGINS_SECONDS)
        time.sleep(seconds)  # The instant is the test's input, not something to wait for.
        step = journal_step(droplet)
        for pid in shipping.engine_pids(droplet):
            shipping.kill(droplet, pid)
    shipping.wait_settled(droplet)
    assert shipping.assert_sound(droplet)["live"]["version"] in versions
    return step


def power_loss_at(droplet: Droplet, place: str, act: Act, version: str, before: str) -> None:
    """Pull the droplet's plug where what ``act`` starts reaches ``place``, boot it, and see that all is well."""
    with shipping.stopped_at(droplet, place, act):
        droplet.kill()
    droplet.boot()
    shipping.wait_at_rest(droplet, BOOT_SECONDS)
    shipping.assert_sound(droplet, version if switched_by(place) else before)


def reboot_at(droplet: Droplet, place: str, act: Act, versions: tuple[str, str]) -> float:
    """Reboot the droplet in order, while what ``act`` starts goes on from ``place``.

    Returns:
        Seconds from when the reboot was asked for until every service that users need was well again.
    """
    with shipping.stopped_at(droplet, place, act):
        asked = time.monotonic()
        with shipping.beside(droplet, lambda beside: beside.reboot()):
            shipping.go_on(droplet)
        seconds_until(lambda: alerts.well(droplet), BOOT_SECONDS)
        took = time.monotonic() - asked
    shipping.wait_at_rest(droplet, BOOT_SECONDS)
    assert shipping.assert_sound(droplet)["live"]["version"] in versions
    return took


def journal_step(droplet: Droplet) -> str:
    """The step that the journal is at; "none" where no release is on its way."""
    try:
        return str(json.loads(droplet.get(shipping.JOURNAL))["step"])
    except FileNotFoundError:
        return "none"


def instants(count: int, longest: float) -> tuple[int, list[float]]:
    """A seed, to be printed, and so many random instants up to ``longest`` seconds."""
    seed = random.SystemRandom().randrange(1 << 32)
    source = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    return seed, [source.uniform(0, longest) for _ in range(count)]
