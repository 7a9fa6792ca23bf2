"""What an operator asks for: a release, a rollback, a plan, a resume. Each under the release lock."""

from collections.abc import Callable
from typing import Any

from marketplace_colour import is_ready
from marketplace_flight import Flight, Request
from marketplace_lock import LockHeld
from marketplace_progress import Progress
from marketplace_records import ReleaseRecord
from marketplace_release import TROUBLE, prepared, run_steps, said, unrecorded
from marketplace_rollback import Unreachable
from marketplace_schema import kind
from marketplace_settle import settle
from marketplace_signals import interruptible
from marketplace_step import StepFailed, Unchanged
from marketplace_steps import STEPS
from marketplace_steps_image import forget_image, preflight, pull
from marketplace_steps_schema import examine
from marketplace_world import World

# How long a release may take that was asked to go back: a migration may have to end, and the old colour to start.
WITHDRAWAL_SECONDS = 120.0


def perform(world: World, settings: dict[str, Any], request: Request, progress: Progress) -> ReleaseRecord:
    """Ship a version, or go back to one: every step in order; one that fails has them all taken back.

    Args:
        settings: the effective settings.
        progress: hears of each step; must not raise.

    Returns:
        The record: ``live``, ``failed`` or ``rolled_back`` (in the ledger), ``unchanged`` or ``refused`` (not).
    """
    if request.kind == "rollback":
        withdrawn = _withdraw(world, request)
        if withdrawn:
            progress.say(f"release {withdrawn[0]} is on its way (step {withdrawn[1]}): asked it to go back")
            return _withdrawn(world, settings, request, *withdrawn, progress)
    holder = world.lock.holder() if request.wait else None
    if holder:
        progress.say(f"waiting up to {request.wait:.0f} s for {holder.get('doing')} by {holder.get('by')}")
    try:
        with world.lock.held(request.by, request.words, request.wait), interruptible():
            try:
                settled = _settle(world, settings, request, progress)
                if settled:
                    return unrecorded(world, request, "unchanged", settled)
            except TROUBLE as error:
                progress.say(f"what was there before could not be settled: {error}")
                if world.journal.read() is not None:
                    reason = f"an interrupted release could not be settled: {error}. Mend that, then: deploy.resume"
                    return unrecorded(world, request, "refused", reason)
            return run_steps(world, settings, request, progress)
    except LockHeld as error:
        return unrecorded(world, request, "refused", _with_step(world, error, request))
    except KeyboardInterrupt as error:
        return unrecorded(world, request, "refused", said(error))


def _with_step(world: World, error: LockHeld, request: Request) -> str:
    return str(LockHeld(error.owner, _step_in_flight(world), request.wait))


def _step_in_flight(world: World) -> str:
    entry = world.journal.read()
    return str(entry["step"]) if entry else ""


def _settle(world: World, settings: dict[str, Any], request: Request, progress: Progress) -> str | None:
    """Settle what was before. A rollback that finds a release half done has what it wants once that was taken back."""
    entry = world.journal.read()
    settle(world, settings, progress, patient=False)
    if entry is None or request.kind != "rollback" or request.target:
        return None
    release = Flight.from_dict(entry).run.release
    return (
        None if _is_live_record(world, release) else f"release {release} was interrupted, and was taken back"
    )


def _is_live_record(world: World, release: str) -> bool:
    return release in world.ledger.ids() and world.ledger.record(release).outcome == "live"


def _withdraw(world: World, request: Request) -> tuple[str, str] | None:
    """A rollback while a release is on its way takes that one back: it is what somebody wants who sees it go wrong."""
    if request.target or world.lock.holder() is None:
        return None
    entry = world.journal.read()
    if entry is None:
        return None
    flight = Flight.from_dict(entry)
    if flight.phase != "do" or any(step.final and step.name == flight.step for step in STEPS):
        return None
    world.journal.withdraw(flight.run.release, request.by)
    return flight.run.release, flight.step


def _withdrawn(
    world: World, settings: dict[str, Any], request: Request, release: str, step: str, progress: Progress
) -> ReleaseRecord:
    """Wait for a release that was asked to go back; there is more to do only where it went live all the same, or was
    interrupted before, and somebody else had the lock."""
    patience = max(request.wait, WITHDRAWAL_SECONDS)
    if not world.clock.wait_until(lambda: world.lock.holder() is None, timeout=patience):
        reason = f"release {release} was asked to go back and is still at it (step {step}); see deploy.status"
        return unrecorded(world, request, "refused", reason)
    entry = world.journal.read()
    if (entry is not None and entry["run"]["release"] == release) or _is_live_record(world, release):
        return perform(world, settings, request, progress)
    known = world.ledger.record(release).reason if release in world.ledger.ids() else "it never went live"
    return unrecorded(
        world, request, "unchanged", f"release {release} was on its way and was taken back: {known}"
    )


def resume(world: World, settings: dict[str, Any], by: str, progress: Progress) -> dict[str, Any]:
    """Finish or undo a release that was killed, and start what should run: at boot, and before every release.

    Returns:
        ``{"live": colour or None, "ready": whether it answers, "resumed": what was done in words, or None}``

    Raises:
        LockHeld: a release is running; there is nothing to resume.
        DockerError, EdgeError, LedgerError, OSError: what is in the way.
    """
    with world.lock.held(by, "resume"), interruptible():
        resumed = settle(world, settings, progress)
        live = world.edge.live()
        ready = live is not None and is_ready(world, settings, live)
        return {"live": live, "ready": ready, "resumed": resumed}


def plan(world: World, settings: dict[str, Any], request: Request, progress: Progress) -> dict[str, Any]:
    """What a release or rollback would do, and what would refuse it. The image may be fetched; nothing else changes.

    Returns:
        ``would`` (``release``, ``rollback``, ``unchanged`` or ``refuse``), ``refusals``, ``version``, ``image``,
        ``from`` (version that is live), ``colour``, ``schema`` and ``migrations`` (each with its ``kind`` and whether
        it can be taken back), ``jobs`` (names of those that the image schedules), ``steps``.
    """
    try:
        with world.lock.held(request.by, "plan", request.wait), interruptible():
            return _planned(world, settings, request, progress)
    except LockHeld as error:
        return {"would": "refuse", "refusals": [_with_step(world, error, request)]}


def _planned(world: World, settings: dict[str, Any], request: Request, progress: Progress) -> dict[str, Any]:
    refusals: list[str] = []
    if world.journal.read() is not None:
        refusals.append(
            "a release was interrupted: deploy.resume settles it, and deploy.release would do so first"
        )
    try:
        run = prepared(world, settings, request)
    except (Unreachable, *TROUBLE) as error:
        return {"would": "refuse", "refusals": [*refusals, str(error)]}
    would: str = request.kind

    def attempt(look: Callable[..., str]) -> bool:
        progress.begin(look.__name__)
        try:
            progress.end(look.__name__, "done", 0.0, look(world, run))
        except (StepFailed, *TROUBLE) as error:
            refusals.append(str(error))
            return False
        return True

    try:
        attempt(preflight)
        if attempt(pull):
            attempt(examine)
    except Unchanged:
        would = "unchanged"
    finally:
        forget_image(world, run)
    return {
        "would": "refuse" if refusals else would,
        "refusals": refusals,
        "version": run.version,
        "image": run.image or run.reference,
        "from": run.previous.version if run.previous else None,
        "colour": run.colour,
        "schema": run.schema["before"],
        "migrations": [
            {
                "revision": item.revision,
                "summary": item.summary,
                "kind": kind(item),
                "direction": "back" if run.backwards else "forward",
                "reversible": item.reversible,
                "loses": item.loses,
            }
            for item in run.pending
        ],
        "settings_changed": run.previous is not None and run.previous.settings_digest != run.settings_digest,
        "jobs": [job.name for job in run.contract.schedule] if run.contract is not None else [],
        "steps": [step.name for step in STEPS if run.contract is not None and step.when(run)],
    }
