"""The steps of a release, in order, each with what it does and how it is undone.

Everything before ``switch`` leaves the live colour alone; everything behind it goes back to the old colour on failure.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from marketplace_contract import Contract, ContractError, parse_contract
from marketplace_docker import DockerError
from marketplace_durable import make_directory, to_json, write_atomic
from marketplace_probe import VERIFY_PORT, NoAnswer
from marketplace_records import ReleaseRecord
from marketplace_release_compose import one_off, project, render, worker
from marketplace_world import World

LOG_LINES = 15


class StepFailed(Exception):
    """A step cannot go on; the message is the release's ``reason``."""


class Unchanged(Exception):
    """What is asked for is live already: same digest, same settings."""


@dataclass
class Run:
    """A release in flight. Steps fill in what they find out."""

    settings: dict[str, Any]
    settings_digest: str
    release: str
    version: str
    reference: str
    colour: str
    live_colour: str | None
    previous: ReleaseRecord | None
    image: str = ""
    contract: Contract | None = None
    schema: dict[str, list[str] | None] = field(default_factory=lambda: {"before": None, "after": None})

    @property
    def declared(self) -> Contract:
        if self.contract is None:
            raise StepFailed("the image's contract was not read: the pull step has to come first")
        return self.contract

    @property
    def stop_grace(self) -> int:
        return int(self.settings["backend"]["stop_grace"]) + 5

    def directory(self, world: World) -> Path:
        return world.paths.releases / self.release


@dataclass(frozen=True)
class Step:
    """``do`` returns a detail for the record; ``undo`` must cope with ``do`` having got half way."""

    name: str
    do: Callable[[World, Run], str]
    undo: Callable[[World, Run], None] | None = None


def pull(world: World, run: Run) -> str:
    """Fetch the image, resolve its digest once, and read its contract."""
    try:
        world.docker.pull(run.reference)
    except DockerError as error:
        raise StepFailed(f"image {run.reference} could not be pulled: {error}") from error
    facts = world.docker.image(run.reference)
    repository = run.reference.split("@")[0]
    if ":" in repository.rsplit("/", 1)[-1]:
        repository = repository.rsplit(":", 1)[0]
    digests = [name for name in facts.repo_digests if name.startswith(f"{repository}@")] if facts else []
    if facts is None or not digests:
        raise StepFailed(
            f"image {run.reference} has no digest in its registry; push it to {repository} first"
        )
    # A tag and its digest in one reference: people read the tag, Docker obeys the digest.
    wanted = run.reference.rsplit("@", 1)[1] if "@" in run.reference else None
    digest = wanted or digests[0].rsplit("@", 1)[1]
    run.image = f"{repository}:{run.version}@{digest}" if "@" not in run.reference else run.reference
    try:
        run.contract = parse_contract(
            run.image, facts.labels, run.settings["backend"]["port"], facts.has_healthcheck
        )
    except ContractError as error:
        raise StepFailed(str(error)) from error
    live = run.previous
    if (
        live
        and live.image.rsplit("@", 1)[-1] == digest
        and live.settings_digest == run.settings_digest
        and run.live_colour
        and is_ready(world, run, run.live_colour)
    ):
        raise Unchanged(f"version {live.version} with these settings is live since {live.started}")
    # Images kept for a rollback carry a name of their own, so that no prune can take them.
    world.docker.tag(run.image.split("@")[0].rsplit(":", 1)[0] + f"@{digest}", f"keep:{run.release}")
    return run.image


def migrate(world: World, run: Run) -> str:
    """Bring the schema to the new image's heads, from the new image, as the owner, in a one-off container."""
    contract = run.declared
    heads = _revisions(_one_off(world, run, contract.migrate_heads, timeout=60))
    before = _revisions(_one_off(world, run, contract.migrate_current, timeout=60))
    run.schema = {"before": before, "after": before}
    if set(before) == set(heads):
        return f"schema is at {', '.join(heads) or 'nothing'} already"
    _one_off(world, run, contract.migrate, timeout=run.settings["backend"]["migration_timeout"])
    # Asked again from a fresh connection: a migration tool can report success and have rolled back.
    after = _revisions(_one_off(world, run, contract.migrate_current, timeout=60))
    run.schema = {"before": before, "after": after}
    if after == before and _was_live(world, heads):
        return f"schema stays at {', '.join(after)}, ahead of this version's {', '.join(heads)}, which works with it"
    if set(after) != set(heads):
        raise StepFailed(
            f"the migration reported success, but the schema is at {after or 'nothing'} instead of {heads}"
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
    """Wait until the new backend says it is ready; fail early, with its last words, when it exits or restarts."""
    name = project(run.colour)
    fate: list[str] = []

    def settled() -> bool:
        if is_ready(world, run, run.colour):
            return True
        state = world.docker.containers(name).get(name)
        if state is None:
            fate.append("it is gone")
        elif state.oom_killed:
            fate.append(f"it was killed for using more than its memory limit of {_mebibytes(run)} MiB")
        elif state.status in ("exited", "dead", "restarting") or state.restarts:
            fate.append(f"it exits on start (exit code {state.exit_code})")
        return bool(fate)

    timeout = run.settings["backend"]["ready_timeout"]
    if world.clock.wait_until(settled, timeout=timeout) and not fate:
        return f"{name} is ready"
    why = fate[0] if fate else f"it did not become ready within {timeout} s ({_readiness(world, run)})"
    raise StepFailed(f"{name}: {why}. Its last lines:\n{world.docker.logs(name, LOG_LINES)}")


def switch(world: World, run: Run) -> str:
    """Make the new colour live: the file first, then HAProxy's runtime map."""
    world.edge.switch(run.colour)
    return f"{run.live_colour or 'none'} -> {run.colour}"


def switch_back(world: World, run: Run) -> None:
    """The old colour is live again; it is still running, since only the drain step stops it."""
    world.edge.switch(run.live_colour)


def verify(world: World, run: Run) -> str:
    """Ask for the version through the edge: it must be the new release that answers."""
    try:
        status, document = world.probe.get(
            "127.0.0.1", VERIFY_PORT, run.declared.version_path, timeout=10, tls=True
        )
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
    world.docker.remove(worker(run.colour))
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
    Step("pull", pull),
    Step("migrate", migrate, remove_one_off),
    Step("start", start, remove_idle),
    Step("wait", wait),
    Step("switch", switch, switch_back),
    Step("verify", verify),
    Step("worker", move_worker, move_worker_back),
    Step("drain", drain),
)
STEP_NAMES = tuple(step.name for step in STEPS)


def is_ready(world: World, run: Run, colour: str) -> bool:
    """Whether a colour's backend answers its readiness path with 200."""
    return _ready_answer(world, run, colour)[0] == 200


def _ready_answer(world: World, run: Run, colour: str) -> tuple[int, Any]:
    backend = run.settings["backend"]
    path = run.contract.ready_path if run.contract else "/health/ready"
    try:
        return world.probe.get(backend["addresses"][colour]["app"], backend["port"], path)
    except NoAnswer as error:
        return 0, str(error)


def _readiness(world: World, run: Run) -> str:
    status, document = _ready_answer(world, run, run.colour)
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
        output = (result.stdout + result.stderr).strip()
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


def _mebibytes(run: Run) -> int:
    return int(run.settings["backend"]["limits"]["memory"]) >> 20
