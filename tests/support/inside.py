"""What a process in one of the droplet's containers can do: with the application's own code, or with bare sockets."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result


def live(droplet: Droplet) -> str:
    """The live colour's container."""
    return f"backend-{shipping.live_colour(droplet)}"


def python(droplet: Droplet, script: str, *arguments: str, check: bool = True) -> Result:
    """Run a script in the live backend's container, as the application's user, with its variables and libraries."""
    command = ["docker", "exec", "--interactive", live(droplet), "python3", "-", *arguments]
    return droplet.run(command, stdin=script, check=check)


def reached(droplet: Droplet, container: str, targets: Iterable[str], seconds: int = 2) -> set[str]:
    """Which of ``targets`` (``address:port``) accept a TCP connection from a container's network.

    All are tried at the same time: what is dropped takes the whole ``seconds``.
    """
    pid = droplet.run(["docker", "inspect", "--format", "{{.State.Pid}}", container]).stdout.strip()
    script = (
        f'for target in "$@"; do (timeout {seconds} bash -c "</dev/tcp/${{target/:/\\/}}" 2> /dev/null '
        '&& echo "$target") & done; wait'
    )
    enter = ["nsenter", f"--target={pid}", "--net", "bash", "-c", script, "bash", *targets]
    return set(droplet.run(enter).stdout.split())
