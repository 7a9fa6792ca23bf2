"""A container as Docker tells of it, whichever way it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SIGKILLED = 137  # 128 and the signal's number, as a shell would say it


class DockerError(Exception):
    """Docker does not answer, or refuses; the message is its own, shortened to what matters."""


class DockerTimeout(DockerError):
    """A docker command took too long, and was no longer waited for; what it began in a container may go on."""


@dataclass(frozen=True)
class ContainerState:
    """What matters of a container's state; ``status`` is docker's (running, exited, restarting, ...).

    ``finished`` is when it last ended, ``exit_code`` how; Docker forgets that as soon as the container runs again (see
    ``last_exit``).
    ``error`` is why it could not be started.
    ``ailing``: its own health check failed the last time; ``health`` says so only after some more times.
    """

    name: str
    status: str
    health: str
    exit_code: int
    restarts: int
    oom_killed: bool
    started: str
    image: str
    labels: Mapping[str, str]
    pid: int = 0
    finished: str = ""
    ailing: bool = False
    error: str = ""

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def begun(self) -> datetime:
        """When it was started last. Docker writes nanoseconds, which no ISO reader takes."""
        return datetime.fromisoformat(self.started.split(".")[0].rstrip("Z") + "+00:00")

    @property
    def well(self) -> bool:
        """Whether it runs, and its own health check says so."""
        return self.running and self.health == "healthy"

    @property
    def starved(self) -> bool:
        """Whether Docker found no room on the disk to start it again, which it does not try a second time."""
        return self.status == "exited" and "no space left on device" in self.error

    @property
    def killed(self) -> bool:
        """Whether it ended by SIGKILL, which out of our own hand is the kernel's, for the memory limit.

        Docker does not always notice what for (on cgroup v1 it does not), so the exit code counts as well.
        """
        return self.oom_killed or self.exit_code == SIGKILLED


def container_state(document: Mapping[str, Any]) -> ContainerState:
    """The state in what Docker's inspection says of a container."""
    state, config = document["State"], document["Config"]
    checks = (state.get("Health") or {}).get("Log") or []
    return ContainerState(
        name=document["Name"].lstrip("/"),
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        exit_code=state["ExitCode"],
        restarts=document["RestartCount"],
        oom_killed=state["OOMKilled"],
        started=state["StartedAt"],
        image=config["Image"],
        labels=config.get("Labels") or {},
        pid=state.get("Pid", 0),
        finished=state.get("FinishedAt", ""),
        error=state.get("Error", ""),
        ailing=bool(checks) and checks[-1]["ExitCode"] != 0,
    )
