"""The steps around a release: the team's hooks before and after it, and clearing up behind it."""

from marketplace_container import ContainerState
from marketplace_flight import Run
from marketplace_host import HostError
from marketplace_one_off import run_once
from marketplace_records import COLOURS
from marketplace_release_compose import project, worker
from marketplace_retention import ancestors, pinned, superfluous_images, superfluous_keepers
from marketplace_schema import brought
from marketplace_step import StepFailed
from marketplace_world import World


def has_before(run: Run) -> bool:
    return _hooks(run, "before")


def has_after(run: Run) -> bool:
    return _hooks(run, "after")


def before(world: World, run: Run) -> str:
    """The hooks before a release; one that fails refuses it."""
    return _run(world, run, "before")


def after(world: World, run: Run) -> str:
    """The hooks behind a release; one that fails is told, and takes nothing back."""
    return _run(world, run, "after")


def prune(world: World, run: Run) -> str:
    """Take away images and containers beyond what a rollback may go back to, and restore points. Records stay."""
    keep = run.settings["backend"]["keep_releases"]
    # Ours is not in the ledger yet, and it is live.
    own = run.origin.origin if run.origin else run.release
    records = world.ledger.newest()
    lives = {record.release: record for record in records if record.outcome == "live"}
    before = run.origin.previous if run.origin else (run.previous.release if run.previous else None)
    older = pinned((record for record in records if record.origin != own), keep - 1)
    older += [record for record in ancestors(lives, before, keep) if record not in older]
    # A rollback may need the image that brought the schema where it is, whatever became of its release.
    tools = [record.image for record in records if brought(record, run.schema["after"] or ())][:1]
    kept_ids = {record.origin for record in older} | {own, run.release}
    containers = world.docker.containers(*_ours())
    gone = [name for name, state in containers.items() if _is_beyond_reach(state, kept_ids)]
    world.docker.remove(*gone)
    used = [state.image for name, state in containers.items() if name not in gone]
    names = world.docker.image_names()
    keepers = [name for name in superfluous_keepers(names, older) if name.partition(":")[2] not in kept_ids]
    for name in keepers:
        world.docker.untag(name)
    left = {name: identity for name, identity in names.items() if name not in keepers}
    images = superfluous_images(left, older, run.settings["backend"]["image"], [*used, *tools, run.image])
    for name in images:
        world.docker.untag(name)
    for point in world.database.points():
        world.database.drop_point(point)
    return f"{len(images) + len(keepers)} image names and {len(gone)} containers removed"


def _is_beyond_reach(state: ContainerState, kept_ids: set[str]) -> bool:
    return state.status == "exited" and state.labels.get("marketplace.release", "") not in kept_ids


def _ours() -> list[str]:
    return [name for colour in COLOURS for name in (project(colour), worker(colour))]


def _hooks(run: Run, when: str) -> bool:
    hooks = run.settings["backend"].get("hooks") or {}
    declared = run.contract is not None and getattr(run.contract, when)
    return bool(hooks.get(when) or declared)


def _run(world: World, run: Run, when: str) -> str:
    backend = run.settings["backend"]
    timeout = backend["hook_timeout"]
    told = {
        "MARKETPLACE_RELEASE": run.release,
        "MARKETPLACE_VERSION": run.version,
        "MARKETPLACE_PREVIOUS": run.previous.version if run.previous else "",
        "MARKETPLACE_KIND": run.request.kind,
        "MARKETPLACE_BY": run.request.by,
    }
    ran = []
    for argv in backend["hooks"][when]:
        try:
            world.host.run(argv, timeout, told)
        except HostError as error:
            raise StepFailed(f"hook {world.scrubbed(str(error))}") from error
        ran.append(argv[0].rsplit("/", 1)[-1])
    declared = getattr(run.declared, when)
    if declared:
        run_once(world, run, run.image, declared, timeout, role="application")
        ran.append(declared[0])
    return f"ran {', '.join(ran)}"
