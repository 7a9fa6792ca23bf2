"""Shipping over the droplet in memory, and ways to make it fail, for tests that look at one release."""

from collections.abc import Callable
from typing import Any

from marketplace_records import ReleaseRecord

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.operations import going_back, planning, run, settling, shipping


def ship(droplet: Droplet, version: str, **how: Any) -> ReleaseRecord:
    """A release as alice asks for it."""
    return run(droplet, shipping(droplet, version, **how)).record


def back(droplet: Droplet, target: str = "", **how: Any) -> ReleaseRecord:
    """A rollback as alice asks for it."""
    return run(droplet, going_back(droplet, target, **how)).record


def planned(droplet: Droplet, version: str, **how: Any) -> dict[str, Any]:
    """What a release would do."""
    return _answer(run(droplet, planning(droplet, version, **how)))


def settle(droplet: Droplet) -> dict[str, Any]:
    """What runs at boot."""
    return _answer(run(droplet, settling(droplet)))


def _answer(ended: Any) -> dict[str, Any]:
    if ended.error is not None:
        raise ended.error
    return dict(ended.answer)


def kill_at(droplet: Droplet, version: str, place: str, **how: Any) -> None:
    """A release whose process is killed at ``<step>:start``, ``:end`` or ``:undone``."""
    plan = Plan(by_name={f"reached {place}": Fault("kill")})
    assert run(droplet, shipping(droplet, version, **how), plan).killed


def broken(error: BaseException) -> Callable[..., None]:
    """A function that raises."""

    def call(*args: object, **kwargs: object) -> None:
        raise error

    return call


def kinds(droplet: Droplet) -> list[str]:
    """Kinds of the events that wait to be told, in order."""
    return [event.kind for event in droplet.world.spool.pending()]
