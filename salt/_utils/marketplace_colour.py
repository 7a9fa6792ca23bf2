"""A colour: its backend, its worker, whether it is ready, and bringing it up."""

from dataclasses import replace
from typing import Any

from marketplace_container import ContainerState, DockerError
from marketplace_contract import READY_PATH
from marketplace_probe import NoAnswer
from marketplace_records import COLOURS, other_colour
from marketplace_release_compose import is_job, project, serves_here, stop_seconds, worker
from marketplace_world import World


def is_ready(world: World, settings: dict[str, Any], colour: str) -> bool:
    """Whether a colour's backend answers its readiness path with 200."""
    return asked(world, settings, colour)[0]


def asked(world: World, settings: dict[str, Any], colour: str) -> tuple[bool, str]:
    """Whether a colour's backend answers its readiness path with 200, and what it says, for people."""
    status, document = _answer(world, settings, colour)
    return status == 200, f"HTTP {status}: {document}" if status else f"no answer: {document}"


def readiness(world: World, settings: dict[str, Any], colour: str) -> str:
    """What a colour's backend says of its readiness, for people."""
    return asked(world, settings, colour)[1]


def fate(state: ContainerState | None, memory: int) -> str | None:
    """Why a container that was just started will not become ready; None while it may.

    Args:
        memory: its limit in bytes.
    """
    if state is None:
        return "it is gone"
    if state.killed:
        return f"it was killed, most likely for using more than its memory limit of {memory >> 20} MiB"
    if state.restarts or state.status in ("exited", "dead", "restarting"):
        return f"it exits on start (exit code {state.exit_code}{_again(state)})"
    return None


def looked_at(world: World, *names: str) -> dict[str, ContainerState]:
    """States of containers, with the exit code of their last end also where they have been started again."""
    found = world.docker.containers(*names)
    for name, state in found.items():
        code = world.docker.last_exit(name) if state.restarts and state.running else None
        if code is not None:
            found[name] = replace(state, exit_code=code)
    return found


def _again(state: ContainerState) -> str:
    return f", started again {state.restarts} times" if state.restarts else ""


def keep_up(world: World, settings: dict[str, Any], colour: str, patient: bool = True) -> bool:
    """Start what is stopped of a colour, and wait until its backend is ready; whether it is.

    Its worker too, unless another host serves the bot.

    Args:
        patient: wait also where it was running already, and so has had its time.

    Raises:
        DockerError: it cannot be started.
    """
    started = start_stopped(world, settings, colour)
    timeout = settings["backend"]["ready_timeout"] if patient or started else 0
    return world.clock.wait_until(lambda: is_ready(world, settings, colour), timeout=timeout)


def start_stopped(world: World, settings: dict[str, Any], colour: str) -> bool:
    """Start what is stopped of a colour, its worker too, unless another host serves the bot; whether anything was.

    Raises:
        DockerError: it cannot be started.
    """
    found = world.docker.containers(project(colour), worker(colour))
    if project(colour) not in found:
        raise DockerError(f"container {project(colour)} does not exist")
    stopped = [name for name, state in found.items() if state.status in ("exited", "created", "dead")]
    if not serves_here(settings):
        stopped = [name for name in stopped if name != worker(colour)]
    if worker(colour) in stopped:  # a singleton: first the other one stops
        world.docker.stop(worker(other_colour(colour)), grace=stop_seconds(settings))
    if stopped:
        world.docker.start(*stopped)
    return bool(stopped)


def stop(world: World, grace: int, *colours: str) -> None:
    """Stop backends and workers of colours gracefully, the workers first; missing ones are well stopped.

    Args:
        grace: seconds that each may take.
    """
    names = [name for colour in colours for name in (worker(colour), project(colour))]
    running = {name for name, state in world.docker.containers(*names).items() if state.status != "exited"}
    for name in names:
        if name in running:
            world.docker.stop(name, grace=grace)


def remove_strays(world: World) -> list[str]:
    """Remove what a killed compose run left of our projects: its half-made containers break every later start."""
    ours = {project(colour): {project(colour), worker(colour)} for colour in COLOURS}
    strays = [
        name
        for name, made_by in world.docker.projects().items()
        if name not in ours.get(made_by, {name}) and not is_job(name)
    ]
    world.docker.remove(*strays)
    return strays


def _answer(world: World, settings: dict[str, Any], colour: str) -> tuple[int, Any]:
    backend = settings["backend"]
    try:
        return world.probe.get(backend["addresses"][colour]["app"], backend["port"], READY_PATH)
    except NoAnswer as error:
        return 0, str(error)
