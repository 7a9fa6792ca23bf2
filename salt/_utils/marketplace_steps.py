"""The steps of a release, in order, each with what it does and how it is undone.

Everything before ``switch`` leaves the live colour alone. A failure from ``switch`` on goes back to the old colour, up
to the steps marked ``final``: from there the new version has proven itself, and only cleaning up is left.
"""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml
from marketplace_contract import READY_PATH, VERSION_PATH, ContractError, parse_contract
from marketplace_docker import DockerError
from marketplace_durable import make_directory, to_json, write_atomic
from marketplace_flight import Run
from marketplace_probe import VERIFY_PORT, NoAnswer
from marketplace_reference import Reference
from marketplace_release_compose import environment, one_off, project, render, worker
from marketplace_world import World

LOG_LINES = 15
# How long the live colour may take to be ready again behind a migration that it has to work with.
STEADY_SECONDS = 15
# How long the edge may take to see what is ready: it looks every two seconds.
EDGE_SECONDS = 15


class StepFailed(Exception):
    """A step cannot go on; the message is the release's ``reason``."""


class Unchanged(Exception):
    """What is asked for is live already: same digest, same settings."""


@dataclass(frozen=True)
class Step:
    """``do`` returns a detail for the record and may be done again; ``undo`` copes with a ``do`` that got half way."""

    name: str
    do: Callable[[World, Run], str]
    undo: Callable[[World, Run], None] | None = None
    final: bool = False


def pull(world: World, run: Run) -> str:
    """Fetch the image, resolve its digest once, and read its contract."""
    try:
        world.docker.pull(run.reference)
    except DockerError as error:
        raise StepFailed(f"image {run.reference} could not be pulled: {error}") from error
    asked = Reference.parse(run.reference)
    facts = world.docker.image(run.reference)
    digests = (
        [name.rsplit("@", 1)[1] for name in facts.repo_digests if asked.same_repository(name)]
        if facts
        else []
    )
    if facts is None or not (asked.digest or digests):
        raise StepFailed(
            f"image {run.reference} has no digest in its registry; push it to {asked.repository} first"
        )
    run.version = run.version or asked.tag or facts.labels.get("org.opencontainers.image.version", "")
    if not run.version:
        raise StepFailed(
            f"image {run.reference} has neither tag nor label that names its version; say version=... too"
        )
    digest = asked.digest or digests[0]
    # A tag and the digest in one reference: people read the tag, Docker obeys the digest.
    run.image = f"{asked.repository}:{asked.tag or run.version}@{digest}"
    try:
        run.contract = parse_contract(
            run.image, facts.labels, run.settings["backend"]["port"], facts.has_healthcheck
        )
    except ContractError as error:
        raise StepFailed(str(error)) from error
    given = environment(run.settings, run.release, run.version, run.colour, "application")
    missing = [name for name in run.contract.environment if name not in given]
    if missing:
        raise StepFailed(
            f"{run.image} wants variables that nothing gives: {', '.join(missing)}. Set backend:environment"
        )
    if _is_live(world, run, digest):
        raise Unchanged(f"version {run.version} with these settings is live")
    # Images kept for a rollback carry a name of their own, so that no prune can take them.
    world.docker.tag(facts.id, f"keep:{run.release}")
    return run.image


def forget_image(world: World, run: Run) -> None:
    """A release that did not happen keeps no image from being pruned."""
    world.docker.untag(f"keep:{run.release}")


def migrate(world: World, run: Run) -> str:
    """Bring the schema to the new image's heads, from the new image, as the owner, in a one-off container."""
    contract = run.declared
    live_was_ready = run.live_colour is not None and is_ready(world, run.settings, run.live_colour)
    heads = _revisions(_one_off(world, run, contract.migrate_heads, timeout=60))
    before = _revisions(_one_off(world, run, contract.migrate_current, timeout=60))
    run.schema = {"before": before, "after": before}
    if set(before) == set(heads):
        return f"schema is at {', '.join(heads) or 'nothing'} already"
    run.schema = {"before": before, "after": None}
    try:
        _one_off(world, run, contract.migrate, timeout=run.settings["backend"]["migration_timeout"])
    except StepFailed:
        # It may have got half way: the record says where the schema really is, if that can be found out.
        with contextlib.suppress(StepFailed):
            run.schema["after"] = _revisions(_one_off(world, run, contract.migrate_current, timeout=60))
        raise
    # Asked from a fresh connection: a migration tool can report success and have rolled back.
    after = _revisions(_one_off(world, run, contract.migrate_current, timeout=60))
    run.schema["after"] = after
    if after == before and _was_live(world, heads):
        return f"schema stays at {', '.join(after)}, ahead of this version's {', '.join(heads)}, which works with it"
    if set(after) != set(heads):
        raise StepFailed(
            f"the migration reported success, but the schema is at {after or 'nothing'} instead of {heads}"
        )
    if live_was_ready and not world.clock.wait_until(
        lambda: is_ready(world, run.settings, str(run.live_colour)), timeout=STEADY_SECONDS
    ):
        raise StepFailed(
            f"{project(str(run.live_colour))} no longer works with the migrated schema "
            f"({_readiness(world, run.settings, str(run.live_colour))}): migrations must work with the version before "
            "(docs/contract.md)"
        )
    return f"schema from {', '.join(before) or 'nothing'} to {', '.join(after)}"


def remove_one_off(world: World, run: Run) -> None:
    """A migration that was interrupted leaves its container behind."""
    world.docker.remove("migration")


def start(world: World, run: Run) -> str:
    """Write the release's immutable files and start its backend in the idle colour."""
    directory = run.directory(world)
    make_directory(directory)
    document = render(
        run.settings,
        run.declared,
        run.release,
        run.version,
        run.image,
        run.colour,
        str(world.paths.delivered / "backend"),
    )
    write_atomic(directory / "compose.yaml", yaml.safe_dump(document, sort_keys=False))
    write_atomic(directory / "settings.json", to_json(run.settings))
    world.docker.remove(project(run.colour), worker(run.colour))
    world.docker.start_project(directory / "compose.yaml", "backend")
    return f"{project(run.colour)} started"


def remove_idle(world: World, run: Run) -> None:
    """Take the new colour away again."""
    world.docker.remove(project(run.colour), worker(run.colour))


def wait(world: World, run: Run) -> str:
    """Wait until the new backend is ready, and the edge knows; fail early, with its last words, when it exits."""
    name = project(run.colour)
    fate: list[str] = []

    def settled() -> bool:
        if is_ready(world, run.settings, run.colour):
            return True
        state = world.docker.containers(name).get(name)
        if state is None:
            fate.append("it is gone")
        elif state.oom_killed:
            limit = int(run.settings["backend"]["limits"]["memory"]) >> 20
            fate.append(f"it was killed for using more than its memory limit of {limit} MiB")
        elif state.restarts:  # Docker forgets the exit code as soon as it starts it again
            fate.append(f"it exits on start (started again {state.restarts} times)")
        elif state.status in ("exited", "dead", "restarting"):
            fate.append(f"it exits on start (exit code {state.exit_code})")
        return bool(fate)

    timeout = run.settings["backend"]["ready_timeout"]
    if not world.clock.wait_until(settled, timeout=timeout) or fate:
        readiness = _readiness(world, run.settings, run.colour)
        why = fate[0] if fate else f"it did not become ready within {timeout} s ({readiness})"
        raise StepFailed(
            f"{name}: {why}. Its last lines:\n{world.scrubbed(world.docker.logs(name, LOG_LINES))}"
        )
    # Else /healthz would say "unhealthy" for the two seconds between the switch and the edge's next look.
    if not world.clock.wait_until(lambda: world.edge.check_passes(run.colour), timeout=EDGE_SECONDS):
        raise StepFailed(
            f"{name} is ready, but the edge's check of it does not pass; see: journalctl -u haproxy"
        )
    return f"{name} is ready"


def switch(world: World, run: Run) -> str:
    """Make the new colour live: the file first, then HAProxy's runtime map."""
    world.edge.switch(run.colour)
    return f"{run.live_colour or 'none'} -> {run.colour}"


def switch_back(world: World, run: Run) -> None:
    """The old colour is live again. It may have been stopped meanwhile (a reboot), so it is started first."""
    if run.live_colour:
        keep_up(world, run.settings, run.live_colour)
    world.edge.switch(run.live_colour)


def verify(world: World, run: Run) -> str:
    """Ask for the version through the edge: it must be the new release that answers."""
    try:
        status, document = world.probe.get("127.0.0.1", VERIFY_PORT, VERSION_PATH, timeout=10, tls=True)
    except NoAnswer as error:
        raise StepFailed(f"the edge: {error}") from error
    answered = document.get("release") if isinstance(document, dict) else None
    if status != 200 or answered != run.release:
        raise StepFailed(
            f"behind the edge release {answered or '?'} answers (HTTP {status}), not {run.release}"
        )
    return f"release {run.release} answers through the edge"


def move_worker(world: World, run: Run) -> str:
    """Singleton workers: the old one stops before the new one starts."""
    if run.live_colour:
        world.docker.stop(worker(run.live_colour), grace=run.stop_grace)
    if not run.declared.worker:
        return "this image has no worker"
    world.docker.start_project(run.directory(world) / "compose.yaml", "worker")
    return f"{worker(run.colour)} started"


def move_worker_back(world: World, run: Run) -> None:
    """On the way back as well: the new worker stops before the old one starts."""
    world.docker.stop(worker(run.colour), grace=run.stop_grace)
    if run.live_colour and world.docker.containers(worker(run.live_colour)):
        world.docker.start(worker(run.live_colour))


def drain(world: World, run: Run) -> str:
    """Let the old colour finish its requests, then stop it gracefully."""
    old = run.live_colour
    if old is None:
        return "nothing was live before"
    drained = world.clock.wait_until(lambda: world.edge.sessions(old) == 0, timeout=run.stop_grace)
    world.docker.stop(project(old), worker(old), grace=run.stop_grace)
    return f"{project(old)} stopped" + ("" if drained else " with requests still open")


STEPS: tuple[Step, ...] = (
    Step("pull", pull, forget_image),
    Step("migrate", migrate, remove_one_off),
    Step("start", start, remove_idle),
    Step("wait", wait),
    Step("switch", switch, switch_back),
    Step("verify", verify),
    Step("worker", move_worker, move_worker_back),
    Step("drain", drain, final=True),
)
STEP_NAMES = tuple(step.name for step in STEPS)


def is_ready(world: World, settings: dict[str, Any], colour: str) -> bool:
    """Whether a colour's backend answers its readiness path with 200."""
    return _ready_answer(world, settings, colour)[0] == 200


def keep_up(world: World, settings: dict[str, Any], colour: str) -> bool:
    """Start what is stopped of a colour, its worker too, and wait until its backend is ready; whether it is.

    Raises:
        DockerError: it cannot be started.
    """
    found = world.docker.containers(project(colour), worker(colour))
    stopped = [name for name, state in found.items() if state.status in ("exited", "created", "dead")]
    if project(colour) not in found:
        raise DockerError(f"container {project(colour)} does not exist")
    if stopped:
        world.docker.start(*stopped)
    timeout = settings["backend"]["ready_timeout"]
    return world.clock.wait_until(lambda: is_ready(world, settings, colour), timeout=timeout)


def _is_live(world: World, run: Run, digest: str) -> bool:
    """Whether just this runs already and answers, worker and all."""
    live, colour = run.previous, run.live_colour
    if live is None or colour is None or live.colour != colour or live.settings_digest != run.settings_digest:
        return False
    if Reference.parse(live.image).digest != digest or not is_ready(world, run.settings, colour):
        return False
    names = [project(colour), *([worker(colour)] if run.declared.worker else [])]
    states = world.docker.containers(*names)
    return all(name in states and states[name].running for name in names)


def _ready_answer(world: World, settings: dict[str, Any], colour: str) -> tuple[int, Any]:
    backend = settings["backend"]
    try:
        return world.probe.get(backend["addresses"][colour]["app"], backend["port"], READY_PATH)
    except NoAnswer as error:
        return 0, str(error)


def _readiness(world: World, settings: dict[str, Any], colour: str) -> str:
    status, document = _ready_answer(world, settings, colour)
    return f"HTTP {status}: {document}" if status else f"no answer: {document}"


def _one_off(world: World, run: Run, command: tuple[str, ...], timeout: float) -> str:
    delivered = str(world.paths.delivered / "migration")
    arguments = one_off(run.settings, run.release, run.version, run.image, run.colour, command, delivered)
    words = shlex.join(command)
    try:
        result = world.docker.run_once(arguments, timeout=timeout)
    except DockerError as error:
        world.docker.remove("migration")
        raise StepFailed(f"`{words}` in {run.image}: {error}") from error
    if result.returncode != 0:
        output = world.scrubbed((result.stdout + result.stderr).strip())
        raise StepFailed(
            f"`{words}` failed with exit code {result.returncode}. Its output:\n{output[-4000:]}"
        )
    return result.stdout


def _was_live(world: World, heads: list[str]) -> bool:
    """Whether a release with just these heads was live: then newer migrations are those that had to work with it."""
    return any(
        record.outcome == "live" and list(record.schema.get("after") or ()) == heads
        for record in world.ledger.newest()
    )


def _revisions(output: str) -> list[str]:
    return sorted(line.split()[0] for line in output.splitlines() if line.strip())
