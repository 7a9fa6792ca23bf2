"""Releases: runs the steps, undoes what a failed one did, and leaves a record. Also resumes what was killed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketplace_lock import LockHeld, release_lock
from marketplace_records import ReleaseRecord, StepRecord, other_colour, release_id
from marketplace_release_compose import project, worker
from marketplace_steps import STEP_NAMES, STEPS, Run, Step, Unchanged
from marketplace_world import World

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What somebody asks for.

    Args:
        version: tag of ``backend:image``; image: a whole reference instead of it, or "".
        by: who asks; tree: commit of the tree that does it.
    """

    version: str
    image: str
    by: str
    tree: str


def release(
    world: World, settings: dict[str, Any], settings_digest: str, request: Request, progress: Progress
) -> ReleaseRecord:
    """Ship a version: every step in order; a failure before the switch undoes them, one after it goes back as well.

    Args:
        settings: the effective settings; settings_digest: digest of those that a release depends on.
        progress: takes a line for people at each step.

    Returns:
        The record: ``live``, ``failed`` or ``rolled_back`` (in the ledger), ``unchanged`` or ``refused`` (not).
    """
    try:
        with release_lock(world.paths.lock, request.by, f"release of {request.version}"):
            _settle(world, settings, progress)
            return _release(world, settings, settings_digest, request, progress)
    except LockHeld as error:
        return _unrecorded(world, settings_digest, request, "refused", str(error))


def resume(world: World, settings: dict[str, Any], by: str, progress: Progress) -> dict[str, Any]:
    """Finish or undo a release that was killed, and start what should run: at boot, and before every release.

    Returns:
        ``{"live": colour or None, "resumed": what was done in words, or None}``

    Raises:
        LockHeld: a release is running; there is nothing to resume.
    """
    with release_lock(world.paths.lock, by, "resume"):
        return {"resumed": _settle(world, settings, progress), "live": world.edge.live()}


def _release(
    world: World, settings: dict[str, Any], settings_digest: str, request: Request, progress: Progress
) -> ReleaseRecord:
    live_colour = world.edge.live()
    started = world.clock.now()
    run = Run(
        settings=settings,
        settings_digest=settings_digest,
        release=release_id(started, world.ledger.ids()),
        version=request.version,
        reference=request.image or f"{settings['backend']['image']}:{request.version}",
        colour=other_colour(live_colour or "green"),
        live_colour=live_colour,
        previous=world.ledger.live(),
    )
    begun = world.clock.monotonic()
    done: list[tuple[Step, StepRecord]] = []
    outcome, reason = "live", ""
    for step in STEPS:
        world.journal.write(_entry(run, request, started.isoformat(timespec="seconds"), step.name))
        step_begun = world.clock.monotonic()
        try:
            detail = step.do(world, run)
        except Unchanged as unchanged:
            world.journal.clear()
            return _unrecorded(world, settings_digest, request, "unchanged", str(unchanged), run)
        except (Exception, KeyboardInterrupt) as error:
            # Whatever went wrong, a bug included: the live colour comes first.
            reason = f"{step.name}: {_words(error)}"
            done.append((step, StepRecord(step.name, _since(world, step_begun), "failed", _words(error))))
            progress(f"{step.name} failed: {_words(error)}")
            outcome, done = _undo(world, run, done, progress)
            break
        done.append((step, StepRecord(step.name, _since(world, step_begun), "done", detail)))
        progress(f"{step.name}: {detail} ({done[-1][1].seconds:.1f} s)")
    record = world.ledger.append(
        ReleaseRecord(
            release=run.release,
            version=run.version,
            image=run.image or run.reference,
            previous=run.previous.release if run.previous else None,
            outcome=outcome,
            reason=reason,
            colour=run.colour,
            schema=run.schema,
            by=request.by,
            tree=request.tree,
            started=started.isoformat(timespec="seconds"),
            seconds=_since(world, begun),
            settings_digest=settings_digest,
            steps=tuple(step_record for _, step_record in done),
        )
    )
    world.journal.clear()
    _announce(world, record)
    return record


def _undo(
    world: World, run: Run, done: list[tuple[Step, StepRecord]], progress: Progress
) -> tuple[str, list[tuple[Step, StepRecord]]]:
    """Undo in reverse, the failed step first; one undo that fails does not keep the others from trying."""
    outcome = "failed"
    after = []
    for step, record in reversed(done):
        if step.name == "switch":
            outcome = "rolled_back"
        if step.undo is None:
            after.append((step, record))
            continue
        try:
            step.undo(world, run)
        except Exception as error:
            detail = f"{record.detail}; undoing it failed: {_words(error)}"
            progress(f"{step.name}: undoing it failed: {_words(error)}")
            after.append((step, StepRecord(step.name, record.seconds, "failed", detail)))
        else:
            outcome_of_step = "undone" if record.outcome == "done" else record.outcome
            after.append((step, StepRecord(step.name, record.seconds, outcome_of_step, record.detail)))
    return outcome, after[::-1]


def _settle(world: World, settings: dict[str, Any], progress: Progress) -> str | None:
    """Bring world and ledger in step with the live map, whatever was interrupted. Twice equals once."""
    resumed = None
    live = world.edge.live()
    entry = world.journal.read()
    if entry is not None:
        recorded = entry["release"] in world.ledger.ids()
        switched = live == entry["colour"] and STEP_NAMES.index(entry["step"]) >= STEP_NAMES.index("switch")
        if not recorded:
            resumed = f"release {entry['release']} was interrupted at {entry['step']}: " + (
                "finished" if switched else "undone"
            )
            record = _interrupted(world, entry, "live" if switched else "failed")
            _announce(world, world.ledger.append(record))
            progress(resumed)
        world.docker.remove("migration")
        world.journal.clear()
    _run_only(world, settings, live)
    if live is not None:
        world.edge.synchronise()
    return resumed


def _run_only(world: World, settings: dict[str, Any], live: str | None) -> None:
    """The live colour's containers run; the other colour's do not."""
    grace = settings["backend"]["stop_grace"] + 5
    idle = other_colour(live) if live else None
    strays = [idle] if idle else ["blue", "green"]
    names = [name for colour in strays for name in (project(colour), worker(colour))]
    running = [name for name, state in world.docker.containers(*names).items() if state.status != "exited"]
    world.docker.stop(*running, grace=grace)
    if live is None:
        return
    wanted = world.docker.containers(project(live), worker(live))
    if project(live) not in wanted:
        directory = world.paths.releases / _live_release(world, live)
        world.docker.start_project(directory / "compose.yaml", "backend")
    stopped = [name for name, state in wanted.items() if state.status in ("exited", "created", "dead")]
    if stopped:
        world.docker.start(*stopped)


def _live_release(world: World, colour: str) -> str:
    """The release that runs in the live colour, by the ledger."""
    record = world.ledger.live()
    if record is None or record.colour != colour:
        raise RuntimeError(
            f"the live map names {colour}, but the ledger's live release is {record and record.release} in "
            f"{record and record.colour}; deploy.release of a known good version mends it"
        )
    return record.release


def _entry(run: Run, request: Request, started: str, step: str) -> dict[str, Any]:
    return {
        "release": run.release,
        "version": run.version,
        "image": run.image or run.reference,
        "colour": run.colour,
        "live_colour": run.live_colour,
        "previous": run.previous.release if run.previous else None,
        "settings_digest": run.settings_digest,
        "schema": run.schema,
        "by": request.by,
        "tree": request.tree,
        "started": started,
        "step": step,
    }


def _interrupted(world: World, entry: Mapping[str, Any], outcome: str) -> ReleaseRecord:
    return ReleaseRecord(
        release=entry["release"],
        version=entry["version"],
        image=entry["image"],
        previous=entry["previous"],
        outcome=outcome,
        reason=f"{entry['step']}: interrupted (killed, or the droplet went down)",
        colour=entry["colour"],
        schema=entry["schema"],
        by=entry["by"],
        tree=entry["tree"],
        started=entry["started"],
        seconds=(world.clock.now() - datetime.fromisoformat(entry["started"])).total_seconds(),
        settings_digest=entry["settings_digest"],
        steps=(StepRecord(entry["step"], 0.0, "failed", "interrupted"),),
    )


def _unrecorded(
    world: World, settings_digest: str, request: Request, outcome: str, reason: str, run: Run | None = None
) -> ReleaseRecord:
    """A record of something that changed nothing: it is returned, and not kept."""
    live = world.ledger.live()
    return ReleaseRecord(
        release=live.release if live and outcome == "unchanged" else "",
        version=request.version,
        image=run.image if run else request.image,
        previous=live.previous if live and outcome == "unchanged" else None,
        outcome=outcome,
        reason=reason,
        colour=live.colour if live and outcome == "unchanged" else "",
        schema={"before": None, "after": None},
        by=request.by,
        tree=request.tree,
        started=world.clock.now().isoformat(timespec="seconds"),
        seconds=0.0,
        settings_digest=settings_digest,
    )


def _announce(world: World, record: ReleaseRecord) -> None:
    severity = "info" if record.outcome == "live" else "critical"
    summary = f"release {record.version}: {record.outcome}" + (
        f" ({record.reason.splitlines()[0]})" if record.reason else ""
    )
    world.spool.emit(
        f"release.{record.outcome}", severity, summary, {"release": record.release, "by": record.by}
    )


def _since(world: World, begun: float) -> float:
    return round(world.clock.monotonic() - begun, 3)


def _words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) or type(error).__name__
