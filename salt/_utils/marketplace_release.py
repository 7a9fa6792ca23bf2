"""Releases and rollbacks: runs the steps, takes them back when one fails, and leaves a record."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from marketplace_container import DockerError
from marketplace_cutover import measure
from marketplace_database import DatabaseError
from marketplace_edge import EdgeError
from marketplace_effective import release_digest
from marketplace_flight import Flight, Request, Run
from marketplace_host import HostError
from marketplace_ledger import LedgerError
from marketplace_progress import Progress
from marketplace_records import ReleaseRecord, other_colour, release_id
from marketplace_rollback import Unreachable, settings_of, target_of
from marketplace_signals import interruptible, uninterrupted
from marketplace_step import NoWayBack, Step, StepFailed, Unchanged, Withdrawn
from marketplace_steps import STEP_NAMES, STEPS
from marketplace_steps_colour import edge_is_open, heed_withdrawal, move_worker
from marketplace_world import World

# What an effect may raise when the world is not as it should be.
TROUBLE = (
    DockerError,
    EdgeError,
    DatabaseError,
    HostError,
    LedgerError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
)
# The edge writes its log when a request is over, and the journal takes it a moment later.
LOG_SECONDS = 1.0
# Steps whose undoing decides what users meet: where it fails, nothing else is undone before somebody has looked.
DECISIVE = ("switch", "restore-point", "maintenance")


class Undecided(ValueError):
    """It does not say which version is meant; the message names those that may be."""


def unasked_version(settings: Mapping[str, Any], live: ReleaseRecord | None) -> str:
    """What ``deploy.release`` without a version ships: ``backend:version``, unless that would go back by accident.

    Raises:
        Undecided: another version is live, and pillar does not drive releases.
    """
    backend = settings["backend"]
    version: str = backend["version"]
    if live is None or live.version == version or backend["follow_pillar"]:
        return version
    raise Undecided(
        f"which version? {live.version} is live, backend:version says {version}. deploy.release {live.version} ships "
        f"the live one again, with the settings and secrets of today; deploy.release {version} ships the other"
    )


def prepared(world: World, settings: dict[str, Any], request: Request) -> Run:
    """What a request comes to, before anything was looked at outside our own files.

    Raises:
        Undecided: a release without a version, where it might mean one of two.
        Unreachable: a rollback that has nowhere to go.
        EdgeError, LedgerError: who is live cannot be told.
    """
    live_colour = world.edge.live()
    previous = world.ledger.live()
    origin = None
    version = request.version
    if request.kind == "release" and not request.version and not request.image:
        version = unasked_version(settings, previous)
    reference = request.image or f"{settings['backend']['image']}:{version}"
    if request.kind == "rollback":
        origin = target_of(world.ledger, request.target)
        settings = settings_of(world, settings, origin)
        reference, version = origin.image, origin.version
    return Run(
        settings=settings,
        settings_digest=release_digest(settings, world.paths),
        release=release_id(world.clock.now(), (world.ledger.ids() or [""])[-1]),
        version=version,
        reference=reference,
        colour=other_colour(live_colour or "green"),
        live_colour=live_colour,
        previous=previous,
        request=request,
        origin=origin,
    )


def run_steps(world: World, settings: dict[str, Any], request: Request, progress: Progress) -> ReleaseRecord:
    """Do a release or a rollback, with the lock held and everything before it settled."""
    try:
        run = prepared(world, settings, request)
    except (Unreachable, *TROUBLE) as error:
        return unrecorded(world, request, "refused", str(error))
    flight = Flight(run, world.clock.now().isoformat(timespec="seconds"), STEP_NAMES[0])
    try:
        return carry_on(world, flight, progress)
    except Unchanged as unchanged:
        with uninterrupted():
            world.journal.clear()
        return unrecorded(world, request, "unchanged", str(unchanged), run)


def carry_on(world: World, flight: Flight, progress: Progress, resumed: bool = False) -> ReleaseRecord:
    """Do the steps. Whatever goes wrong, a bug included, the live colour comes first.

    Args:
        resumed: the flight was interrupted: what its journal has passed is looked at again where a step can tell.

    Raises:
        Unchanged: what is asked for is live already; the journal is left to the caller.
    """
    stood = STEP_NAMES.index(flight.step)
    flight.run.resumed = flight.run.resumed or resumed
    no_return = resumed and _is_past_return(world, flight)
    with interruptible():
        for index, step in enumerate(STEPS):
            if not step.when(flight.run) or (resumed and _is_done(world, flight, step, index - stood)):
                continue
            final = step.final or no_return
            begun = world.clock.monotonic()
            try:
                if not final:
                    heed_withdrawal(world, flight.run)
                _write_journal(world, flight, step, progress)
                progress.begin(step.name)
                world.host.reached(step.name, "start")
                # Behind the point of no return a signal has nothing to take back: what is left is done first.
                with uninterrupted() if final else contextlib.nullcontext():
                    detail = step.do(world, flight.run)
                world.host.reached(step.name, "end")
                seconds = world.clock.monotonic() - begun
                flight.note(step.name, seconds, "done", detail)
                progress.end(step.name, "done", seconds, detail)
            except Unchanged:
                raise
            except (Exception, KeyboardInterrupt) as error:
                with uninterrupted():  # what failed is told and taken back, whoever asks for an end meanwhile
                    words = world.scrubbed(said(error))
                    _reach(flight, step)
                    seconds = world.clock.monotonic() - begun
                    flight.note(step.name, seconds, "failed", words)
                    progress.end(step.name, "failed", seconds, words)
                    if step.name == "open":  # live, and nobody is let in: that is not an end to leave it at
                        return _stuck(world, flight, f"open failed: {words}")
                    if final:
                        _tell_trouble(world, flight, step, words, progress)
                        flight.reason = _joined(flight.reason, f"{step.name}: {words}")
                        continue
                    flight.reason = f"{step.name}: {words}"
                    return take_back(world, flight, progress, "refused" if _refuses(step, error) else "")
    with uninterrupted():  # it is live: a signal now must not have it told otherwise
        return conclude(world, flight, "live", progress)


def _refuses(step: Step, error: BaseException) -> bool:
    """Whether a failure is a refusal. A withdrawal, an interruption and a bug are told as what they are."""
    return step.refuses and isinstance(error, (StepFailed, *TROUBLE)) and not isinstance(error, Withdrawn)


def _is_past_return(world: World, flight: Flight) -> bool:
    """Whether an interrupted flight must not be taken back any more: it has proven itself, or users were let in.

    In maintenance it is the edge that tells, for the journal may not have been written (a full disk).
    """
    stood = STEP_NAMES.index(flight.step)
    was_closed = flight.run.maintenance and stood > STEP_NAMES.index("maintenance")
    return STEPS[stood].final or (was_closed and edge_is_open(world, flight.run))


def _write_journal(world: World, flight: Flight, step: Step, progress: Progress) -> None:
    """Say what is about to be done. Behind the point of no return it is done even if that cannot be said."""
    _reach(flight, step)
    try:
        world.journal.write(flight.to_dict())
    except OSError as error:
        # The first such step ends every way back, and a resume has to know that it was begun.
        if not step.final or step is next(other for other in STEPS if other.final and other.when(flight.run)):
            raise
        progress.say(f"the journal cannot be written: {error}")


def _reach(flight: Flight, step: Step) -> None:
    """A flight stands where it got furthest: a resume that looks again at earlier steps may have to undo later ones."""
    flight.step = max(flight.step, step.name, key=STEP_NAMES.index)


def _is_done(world: World, flight: Flight, step: Step, distance: int) -> bool:
    """Whether a step of an interrupted flight need not be done again; ``distance``: behind 0 it was not reached."""
    if distance > 0:
        return False
    done = step.done(world, flight.run) if step.done else distance < 0
    if done and distance == 0:
        flight.note(step.name, 0.0, "done", "interrupted, and done")
    return done


def take_back(world: World, flight: Flight, progress: Progress, outcome: str = "") -> ReleaseRecord:
    """Undo in reverse, the flight's step first.

    One undo that fails does not keep the others from trying, but for the decisive ones: while nobody knows who is live
    on which schema, what runs goes on running, and the journal stays for the next resume.
    """
    with uninterrupted():
        last = STEP_NAMES.index(flight.step)
        switched = last >= STEP_NAMES.index("switch")
        flight.phase = "undo"
        flight.outcome = flight.outcome or outcome or ("rolled_back" if switched else "failed")
        try:
            world.journal.write(flight.to_dict())
        except OSError as error:
            progress.say(f"the journal cannot be written: {error}")
        for step in reversed(STEPS[: last + 1]):
            if step.undo is None or not step.when(flight.run):
                continue
            known = flight.noted(step.name)
            seconds, detail = (known.seconds, known.detail) if known else (0.0, "interrupted")
            try:
                step.undo(world, flight.run)
                world.host.reached(step.name, "undone")
            except NoWayBack as error:
                return _stay(world, flight, world.scrubbed(str(error)), progress)
            except Exception as error:
                words = f"undoing {step.name} failed: {world.scrubbed(said(error))}"
                progress.say(words)
                flight.note(step.name, seconds, "failed", f"{detail}; {words}")
                if step.name in DECISIVE:
                    return _stuck(world, flight, words)
            else:
                done = known is not None and known.outcome in ("done", "undone")
                flight.note(step.name, seconds, "undone" if done else "failed", detail)
                progress.end(step.name, "undone", seconds, "taken back")
        return conclude(world, flight, flight.outcome, progress)


def _stay(world: World, flight: Flight, words: str, progress: Progress) -> ReleaseRecord:
    """The new colour works and the old one does not: whatever the alarm was, going back would be worse."""
    flight.reason = f"{flight.reason}; {words}: it stays live"
    flight.phase, flight.outcome, flight.step = "do", "", "drain"
    summary = f"release {flight.run.version} stays live in spite of an alarm: {flight.reason.splitlines()[0]}"
    world.spool.try_emit("release.stays", "critical", summary, subject=flight.run.release)
    progress.say(summary)
    # Taken back a moment ago, and noted so.
    flight.note("worker", 0.0, "done", move_worker(world, flight.run))
    return carry_on(world, flight, progress, resumed=True)


def _stuck(world: World, flight: Flight, words: str) -> ReleaseRecord:
    """Somebody has to look: the journal stays, and the next resume tries again."""
    reason = f"{_joined(flight.reason, words)}. What serves was left running: mend that, then: deploy.resume"
    summary = f"release {flight.run.version}: {words}"
    # A full disk may be the very reason.
    world.spool.try_emit("release.stuck", "critical", summary, {}, subject=flight.run.release)
    return _record(world, flight, "interrupted", reason)


def _joined(reason: str, more: str) -> str:
    return f"{reason}; {more}" if reason else more


def _tell_trouble(world: World, flight: Flight, step: Step, words: str, progress: Progress) -> None:
    """A step behind the point of no return failed: the release is live, and somebody has to know."""
    severity = "critical" if step.name == "downgrade" else "warning"
    summary = f"release {flight.run.version} is live, but {step.name} failed: {words.splitlines()[0]}"
    try:
        world.spool.emit(f"release.{step.name}", severity, summary, subject=flight.run.release)
    except OSError as error:
        progress.say(f"{summary} ({error})")


def conclude(world: World, flight: Flight, outcome: str, progress: Progress) -> ReleaseRecord:
    """Record, tell, and only then forget the flight: each may be done again by a resume that finds it."""
    # What was undone, or looked at again, was noted later than it stands.
    flight.steps.sort(key=lambda step: STEP_NAMES.index(step.name))
    record = _record(world, flight, outcome, flight.reason)
    try:
        if outcome == "refused":  # nothing was changed: it is told, and not kept
            record = unrecorded(world, flight.run.request, "refused", flight.reason, flight.run, flight)
            _announce(world, record, flight.run.release)
        else:
            if record.release in world.ledger.ids():
                record = world.ledger.record(record.release)
            else:
                record = world.ledger.append(record)
            _announce(world, record, record.release)
        world.journal.clear()
    except (OSError, LedgerError) as error:
        # The release is what it is; only its record waits.
        progress.say(f"not recorded yet: {error}")
        note = f"not recorded yet ({error}): deploy.resume records it"
        record = replace(record, reason=_joined(record.reason, note))
    return record


def _record(world: World, flight: Flight, outcome: str, reason: str) -> ReleaseRecord:
    run, request = flight.run, flight.run.request
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
        kind=request.kind,
        target=run.origin.origin if run.origin else None,
        cutover=_cutover(world, flight),
    )


def _cutover(world: World, flight: Flight) -> dict[str, Any] | None:
    """What users saw of the switch, from the edge's log: up to the soak's end, or the way back."""
    switched = flight.run.switched
    if switched is None:
        return None
    try:
        until = world.clock.now().timestamp()
        return measure(world.edge.answered(switched - LOG_SECONDS), switched - LOG_SECONDS, until)
    except EdgeError:
        return None


def unrecorded(
    world: World,
    request: Request,
    outcome: str,
    reason: str,
    run: Run | None = None,
    flight: Flight | None = None,
) -> ReleaseRecord:
    """A record of something that changed nothing: it is returned, and not kept."""
    live = world.ledger.live() if outcome == "unchanged" else None
    return ReleaseRecord(
        release=live.release if live else "",
        version=run.version if run else request.version,
        image=(run.image or run.reference) if run else request.image,
        previous=live.previous if live else None,
        outcome=outcome,
        reason=reason,
        colour=live.colour if live else "",
        schema={"before": None, "after": None},
        by=request.by,
        tree=request.tree,
        started=world.clock.now().isoformat(timespec="seconds"),
        seconds=0.0,
        settings_digest=run.settings_digest if run else "",
        steps=tuple(flight.steps) if flight else (),
        kind=request.kind,
        target=run.origin.origin if run and run.origin else None,
    )


def _announce(world: World, record: ReleaseRecord, subject: str) -> None:
    severity = {"live": "info", "refused": "warning"}.get(record.outcome, "critical")
    why = f" ({record.reason.splitlines()[0]})" if record.reason else ""
    summary = (
        f"{record.kind} {'to' if record.kind == 'rollback' else 'of'} {record.version}: {record.outcome}{why}"
    )
    data = {"release": record.release, "by": record.by, "version": record.version}
    world.spool.emit(f"{record.kind}.{record.outcome}", severity, summary, data, subject=subject)


def said(error: BaseException) -> str:
    """An error in words."""
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted ({error})" if str(error) else "interrupted"
    return str(error) or type(error).__name__
