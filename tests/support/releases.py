"""Shipping over the in-memory droplet, and ways to make it fail."""

from collections.abc import Callable
from typing import Any

import pytest
from marketplace_flight import Request
from marketplace_records import ReleaseRecord
from marketplace_release import release, resume
from marketplace_steps import STEPS

from tests.support.world import Simulated, settings

DIGEST_1, DIGEST_2, DIGEST_3 = (f"sha256:{letter * 64}" for letter in "abc")


def ship(droplet: Simulated, version: str, digest: str = "sha256:settings", image: str = "") -> ReleaseRecord:
    """A release as alice asks for it."""
    asked = Request(version=version, image=image, by="alice", tree="abc123")
    return release(droplet.world, settings(), digest, asked, lambda line: None)


def settle(droplet: Simulated) -> dict[str, Any]:
    """What runs at boot."""
    return resume(droplet.world, settings(), "boot", lambda line: None)


def running(droplet: Simulated) -> set[str]:
    """Names of the containers that run."""
    return {name for name, state in droplet.docker.running.items() if state.running}


class Killed(BaseException):
    """The process is gone: nothing behind this instant runs, no undo either."""


def kill_at(step_name: str, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrange for the process to die at the start or the end of a step."""
    steps = []
    for step in STEPS:
        if step.name == step_name:

            def do(world, run, step=step):  # type: ignore[no-untyped-def]
                if when == "end":
                    step.do(world, run)
                raise Killed

            step = type(step)(step.name, do, step.undo)
        steps.append(step)
    monkeypatch.setattr("marketplace_release.STEPS", tuple(steps))


def broken(error: BaseException) -> Callable[..., None]:
    """A function that raises."""

    def call(*args: object, **kwargs: object) -> None:
        raise error

    return call
