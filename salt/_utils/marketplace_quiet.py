"""Nobody writes: neither backend, worker nor jobs run while other data take the live ones' place.

What they would commit meanwhile ends in what is set aside, and what it was about would be done once more.
"""

from collections.abc import Callable, Mapping
from typing import Any

from marketplace_colour import is_ready, readiness, start_stopped, stop
from marketplace_container import DockerError
from marketplace_edge import EdgeError
from marketplace_job_runs import stop_jobs
from marketplace_ledger import LedgerError
from marketplace_lock import Lock
from marketplace_records import COLOURS, NOTHING_LIVE
from marketplace_release_compose import project, stop_seconds
from marketplace_restore_begun import release_half_done, undecided
from marketplace_settings_moving import unreleased
from marketplace_world import World

# Behind it there is more to do before anybody is let in, which may be what it waits for: a migration, the cache.
READY_SECONDS = 15.0


def quietly(
    world: World, settings: dict[str, Any], why: str, work: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """Do work on the live data with everything stopped that writes; what is live is started again, however it ends.

    Killed in the midst, it stays stopped until the same command comes again, or ``deploy.resume``, a boot or
    ``state.apply``; these leave it stopped for as long as a restore is undecided. The caller has the release lock, and
    has seen to it that the edge is closed.

    Args:
        why: for the jobs that are stopped.
        work: gives an answer.

    Returns:
        The answer, with ``backend``: what became of the live colour, in words. What is raised
        instead has these words as a note.

    Raises:
        DockerError: something can't be stopped.
    """
    try:
        stop_jobs(world, why)
        stop(world, stop_seconds(settings), *COLOURS)
        answer = work()
    except BaseException as error:
        error.add_note(_started(world, settings))
        raise
    return {**answer, "backend": _started(world, settings)}


def behind_closed_edge(
    world: World,
    backups: Lock,
    settings: dict[str, Any],
    doing: str,
    why: str,
    by: str,
    check: Callable[[], None],
    work: Callable[[], Mapping[str, Any]],
) -> dict[str, Any]:
    """Do work on the live data as :func:`quietly` does, where an operator has closed the edge.

    Args:
        world: of releases; its lock is held meanwhile, so that the edge stays closed.
        backups: the lock of backups; only asked here, for the work takes it.
        settings: the resolved settings.
        doing: the command, for whoever meets the lock.
        why: for the jobs that are stopped.
        by: who asks.
        check: raises what can be told beforehand; for what is only refused nothing is stopped, and no job is ended.
        work: gives an answer.

    Returns:
        The answer; with ``outcome`` "refused" and a ``reason`` where the edge is open.

    Raises:
        LockHeld: a release or a backup is under way.
        DockerError: something can't be stopped.
    """
    with world.lock.held(by, doing):
        if not world.edge.maintenance()["operator"]:
            return {
                "outcome": "refused",
                "reason": "the edge is open, and what users write meanwhile would be lost: deploy.maintenance on",
            }
        held = backups.refusal()
        if held is not None:
            raise held
        check()
        return quietly(world, settings, why, work)


def _started(world: World, settings: dict[str, Any]) -> str:
    """Start the live colour, unless nobody knows yet which data are live; in words, what became of it."""
    try:
        live = world.edge.live()
        if live is None:
            return NOTHING_LIVE
        # Behind an interrupted release there may be half a migration, or a restore point to go back to.
        waiting = (
            undecided(world.paths, world.disk)
            or release_half_done(world.paths, world.disk)
            or unreleased(world.ledger, world.paths.releases, settings)
        )
        if waiting:
            return f"{project(live)} stays stopped: {waiting}"
        start_stopped(world, settings, live)
        if world.clock.wait_until(lambda: is_ready(world, settings, live), timeout=READY_SECONDS):
            return f"{project(live)} is ready"
        return f"{project(live)} runs and is not ready yet ({readiness(world, settings, live)})"
    except (DockerError, EdgeError, LedgerError, OSError, ValueError) as error:
        return f"the live release could not be started ({error}): deploy.resume starts it"
