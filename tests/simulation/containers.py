"""A container in memory."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from marketplace_container import ContainerState

from tests.simulation.clock import EPOCH
from tests.simulation.images import Image


@dataclass(eq=False)
class Container:
    """What a container is, was, and will be.

    Attributes:
        policy: Docker's restart policy; by_hand: somebody stopped it, so no policy brings it back.
        work: what a one-off container does; result: what came of it.
        exit_code: of its last end; ended: there was one.
        next_at: when the next thing happens to it by itself.
    """

    name: str
    image: Image
    reference: str
    labels: dict[str, str] = field(default_factory=dict)
    project: str = ""
    policy: str = "no"
    status: str = "created"
    number: int = 0
    exit_code: int = 0
    restarts: int = 0
    ended: bool = False
    oom_killed: bool = False
    by_hand: bool = False
    started_at: float = 0.0
    stopped_at: float | None = None
    ended_at: float | None = None
    next_at: float = float("inf")
    work: Callable[[], subprocess.CompletedProcess[str]] | None = None
    result: subprocess.CompletedProcess[str] | None = None

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def release(self) -> str:
        return self.labels.get("marketplace.release", "")

    def state(self) -> ContainerState:
        """As ``docker inspect`` tells."""
        return ContainerState(
            name=self.name,
            status=self.status,
            health="healthy" if self.running else "none",
            exit_code=0 if self.running else self.exit_code,
            restarts=self.restarts,
            oom_killed=self.oom_killed,
            started=_said(self.started_at or None),
            image=self.reference,
            labels=self.labels,
            finished=_said(self.ended_at),
        )


def _said(seconds: float | None) -> str:
    """A moment as Docker says it."""
    if seconds is None:
        return "0001-01-01T00:00:00Z"
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}000Z"
