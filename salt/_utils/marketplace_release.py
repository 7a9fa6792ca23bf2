"""Releases: runs the steps, takes them back when one fails, leaves a record; and settles what was interrupted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import yaml
from marketplace_docker import DockerError
from marketplace_edge import EdgeError
from marketplace_flight import Flight, Request, Run
from marketplace_ledger import LedgerError
from marketplace_lock import LockHeld, release_lock
from marketplace_records import COLOURS, ReleaseRecord, other_colour, release_id
from marketplace_release_compose import project, worker
from marketplace_signals import interruptible, uninterrupted
from marketplace_steps import STEP_NAMES, STEPS, Unchanged, is_ready, keep_up
from marketplace_world import World

Progress = Callable[[str], None]

# What an effect may raise when the world is not as it should be.
TROUBLE = (DockerError, EdgeError, LedgerError, OSError, ValueError, KeyError, TypeError)


def release(
    world: World, settings: dict[str, Any], settings_digest: str, request: Request, progress: Progress
) -> ReleaseRecord:
    """Ship a version: every step in order; a failure before the switch undoes them, one after it goes back as well.

    Args:
        settings: the effective settings; settings_digest: digest of those that a release depends on.
        progress: takes a line for people at each step; must not raise.

    Returns:
        The record: ``live``, ``failed`` or ``rolled_back`` (in the ledger), ``unchanged`` or ``refused`` (not).
    """
    what = f"release of {request.version or request.image}"
    try:
        with release_lock(world.paths.lock, request.by, what), interruptible():
            try:
                settle(world, settings, progress)
            except TROUBLE as error:
                progress(f"what was there before could not be settled: {error}")
                if world.journal.read() is not None:
                    reason = f"an interrupted release could not be settled: {error}. Mend that, then: deploy.resume"
                    return _unrecorded(world, settings_digest, request, "refused", reason)
            return _release(world, settings, settings_digest, request, progress)
    except LockHeld as error:
        return _unrecorded(world, settings_digest, request, "refused", str(error))


def resume(world: World, settings: dict[str, Any], by: str, progress: Progress) -> dict[str, Any]:
    """Finish or undo a release that was killed, and start what should run: at boot, and before every release.

    Returns:
        ``{"live": colour or None, "ready": whether it answers, "resumed": what was done in words, or None}``

    Raises:
        LockHeld: a release is running; there is nothing to resume.
        DockerError, EdgeError, LedgerError, OSError: what is in the way.
    """
    with release_lock(world.paths.lock, by, "resume"), interruptible():
        resumed = settle(world, settings, progress)
        live = world.edge.live()
        ready = live is not None and is_ready(world, settings, live)
        return {"live": live, "ready": ready, "resumed": resumed}


def _release(
    world: World, settings: dict[str, Any], settings_digest: str, request: Request, progress: Progress
) -> ReleaseRecord:
    live_colour = world.edge.live()
    started = world.clock.now()
    run = Run(
        settings=settings,
        settings_digest=settings_digest,
        release=release_id(started, (world.ledger.ids() or [""])[-1]),
        version=request.version,
        reference=request.image or f"{settings['backend']['image']}:{request.version}",
        colour=other_colour(live_colour or "green"),
        live_colour=live_colour,
        previous=world.ledger.live(),
    )
    flight = Flight(run, request, started.isoformat(timespec="seconds"), STEP_NAMES[0])
    try:
        return _carry_on(world, flight, progress)
    except Unchanged as unchanged:
        world.journal.clear()
        return _unrecorded(world, settings_digest, request, "unchanged", str(unchanged), run)


def _carry_on(world: World, flight: Flight, progress: Progress) -> ReleaseRecord:
    """Do the steps from the flight's on. Whatever goes wrong, a bug included, the live colour comes first."""
    for step in STEPS[STEP_NAMES.index(flight.step) :]:
        begun = world.clock.monotonic()
        flight.step = step.name
        try:
            world.journal.write(flight.to_dict())
            detail = step.do(world, flight.run)
        except Unchanged:
            raise
        except (Exception, KeyboardInterrupt) as error:
            words = _words(error)
            flight.note(step.name, world.clock.monotonic() - begun, "failed", words)
            progress(f"{step.name} failed: {words}")
            if (
                step.final
            ):  # the new version has proven itself: what is left over is stopped by the next resume
                continue
            flight.reason = f"{step.name}: {words}"
            return _take_back(world, flight, progress)
        flight.note(step.name, world.clock.monotonic() - begun, "done", detail)
        progress(f"{step.name}: {detail} ({flight.steps[-1].seconds:.1f} s)")
    return _conclude(world, flight, "live", progress)


def _take_back(world: World, flight: Flight, progress: Progress) -> ReleaseRecord:
    """Undo in reverse, the flight's step first.

    One undo that fails does not keep the others from trying, but for the switch: while nobody knows who is live, both
    colours go on running, and the journal stays for the next resume.
    """
    with uninterrupted():
        last = STEP_NAMES.index(flight.step)
        switched = last >= STEP_NAMES.index("switch")
        flight.phase = "undo"
        flight.outcome = flight.outcome or ("rolled_back" if switched else "failed")
        try:
            world.journal.write(flight.to_dict())
        except OSError as error:
            progress(f"the journal cannot be written: {error}")
        for step in reversed(STEPS[: last + 1]):
            if step.undo is None:
                continue
            known = next((found for found in flight.steps if found.name == step.name), None)
            seconds, detail = (known.seconds, known.detail) if known else (0.0, "interrupted")
            try:
                step.undo(world, flight.run)
            except Exception as error:
                words = f"undoing {step.name} failed: {_words(error)}"
                progress(words)
                flight.note(step.name, seconds, "failed", f"{detail}; {words}")
                if step.name == "switch":
                    return _stuck(world, flight, words)
            else:
                done = known is not None and known.outcome == "done"
                flight.note(step.name, seconds, "undone" if done else "failed", detail)
        flight.steps.sort(key=lambda step: STEP_NAMES.index(step.name))
        return _conclude(world, flight, flight.outcome, progress)


def _stuck(world: World, flight: Flight, words: str) -> ReleaseRecord:
    reason = f"{flight.reason}; {words}. Both colours were left running: mend that, then: deploy.resume"
    world.spool.emit(
        "release.stuck", "critical", f"release {flight.run.version}: {words}", {}, subject=flight.run.release
    )
    return _record(world, flight, flight.outcome, reason)


def _conclude(world: World, flight: Flight, outcome: str, progress: Progress) -> ReleaseRecord:
    """Record, tell, and only then forget the flight: each may be done again by a resume that finds it."""
    record = _record(world, flight, outcome, flight.reason)
    try:
        if record.release in world.ledger.ids():
            record = world.ledger.record(record.release)
        else:
            record = world.ledger.append(record)
        _announce(world, record)
        world.journal.clear()
    except (OSError, LedgerError) as error:
        # The release is what it is; only its record waits.
        progress(f"not recorded yet: {error}")
        note = f"not recorded yet ({error}): deploy.resume records it"
        record = replace(record, reason=f"{record.reason}; {note}" if record.reason else note)
    return record


def settle(world: World, settings: dict[str, Any], progress: Progress) -> str | None:
    """Bring world, edge and ledger in step with the live map, whatever was interrupted. Twice equals once.

    Returns:
        What was done to an interrupted release, in words; None where there was none.

    Raises:
        DockerError, EdgeError, LedgerError, OSError: what is in the way. Nothing that serves was stopped.
    """
    entry = world.journal.read()
    flight = Flight.from_dict(entry) if entry is not None else None
    if flight is None:
        _run_live(world, settings, progress)
        return None
    if flight.run.release in world.ledger.ids():
        _conclude(world, flight, "", progress)
        _run_live(world, settings, progress)
        return None
    interrupted_at = flight.step
    if flight.phase == "do" and world.edge.live() == flight.run.colour:
        # The map names it: go on where it stopped, and look through the edge first, whatever it looked at before.
        keep_up(world, flight.run.settings, flight.run.colour)
        world.edge.synchronise()
        behind = max(STEP_NAMES.index(flight.step), STEP_NAMES.index("verify"))
        flight.note(flight.step, 0.0, "done", "interrupted")
        if flight.step == "drain":
            behind = STEP_NAMES.index("drain")
        flight.step = STEP_NAMES[behind]
        record = _carry_on(world, flight, progress)
    else:
        if not flight.reason:
            flight.reason = f"{flight.step}: interrupted (killed, or the droplet went down)"
            flight.note(flight.step, 0.0, "failed", "interrupted")
        record = _take_back(world, flight, progress)
    if world.journal.read() is not None:
        raise EdgeError(record.reason)
    resumed = f"release {flight.run.release} was interrupted at {interrupted_at}: " + (
        "finished" if record.outcome == "live" else "undone"
    )
    progress(resumed)
    _run_live(world, settings, progress)
    return resumed


def _run_live(world: World, settings: dict[str, Any], progress: Progress) -> None:
    """The live colour runs, the edge knows it, and only then is the other colour stopped."""
    record = world.ledger.live()
    live = world.edge.live()
    if live is None and record is None:
        world.docker.remove("migration")
        _stop(world, settings, "blue", "green")
        return
    if live is None or not _try_up(world, settings, live, progress):
        live = _other_that_serves(world, settings, live, record, progress)
    world.edge.synchronise()
    world.docker.remove("migration")
    if is_ready(world, settings, live):
        _stop(world, settings, other_colour(live))


def _try_up(world: World, settings: dict[str, Any], colour: str, progress: Progress) -> bool:
    """Start a colour's containers, made anew from its release's files where they are gone; whether it is ready."""
    try:
        if project(colour) not in world.docker.containers(project(colour)):
            _make_anew(world, colour)
        if keep_up(world, settings, colour):
            return True
        progress(f"{project(colour)} runs, but is not ready")
    except (DockerError, LedgerError) as error:
        progress(f"{project(colour)} cannot be started: {error}")
    return False


def _make_anew(world: World, colour: str) -> None:
    record = world.ledger.live()
    if record is None or record.colour != colour:
        raise LedgerError(f"no release in the ledger is live in {colour}")
    file = world.paths.releases / record.release / "compose.yaml"
    for service in yaml.safe_load(file.read_text())["services"]:
        world.docker.start_project(file, service)


def _other_that_serves(
    world: World, settings: dict[str, Any], live: str | None, record: ReleaseRecord | None, progress: Progress
) -> str:
    """The map names nobody, or somebody who cannot serve: whoever does serve is live from now on.

    Nothing is stopped on the word of a map like that.
    """
    known = record.colour if record else None
    for colour in sorted(COLOURS, key=lambda colour: colour != known):
        exists = project(colour) in world.docker.containers(project(colour))
        if colour != live and exists and is_ready(world, settings, colour):
            words = f"the live map named {live or 'nobody'}, but {colour} serves: {colour} is live"
            progress(words)
            world.spool.emit("edge.live_mended", "critical", words)
            world.edge.switch(colour)
            return colour
    if live is None and known is not None and _try_up(world, settings, known, progress):
        world.edge.switch(known)
        return known
    if live is None:
        raise EdgeError(f"the live map names nobody, and {project(known or 'blue')} is not ready either")
    return live


def _stop(world: World, settings: dict[str, Any], *colours: str) -> None:
    names = [name for colour in colours for name in (project(colour), worker(colour))]
    running = [name for name, state in world.docker.containers(*names).items() if state.status != "exited"]
    world.docker.stop(*running, grace=settings["backend"]["stop_grace"] + 5)


def _record(world: World, flight: Flight, outcome: str, reason: str) -> ReleaseRecord:
    run, request = flight.run, flight.request
    started = datetime.fromisoformat(flight.started)
    return ReleaseRecord(
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
        started=flight.started,
        seconds=round(max(0.0, (world.clock.now() - started).total_seconds()), 3),
        settings_digest=run.settings_digest,
        steps=tuple(flight.steps),
    )


def _unrecorded(
    world: World, settings_digest: str, request: Request, outcome: str, reason: str, run: Run | None = None
) -> ReleaseRecord:
    """A record of something that changed nothing: it is returned, and not kept."""
    live = world.ledger.live()
    return ReleaseRecord(
        release=live.release if live and outcome == "unchanged" else "",
        version=run.version if run else request.version,
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
    why = f" ({record.reason.splitlines()[0]})" if record.reason else ""
    summary = f"release {record.version}: {record.outcome}{why}"
    data = {"release": record.release, "by": record.by}
    world.spool.emit(f"release.{record.outcome}", severity, summary, data, subject=record.release)


def _words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted ({error})" if str(error) else "interrupted"
    return str(error) or type(error).__name__
