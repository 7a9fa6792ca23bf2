"""A restart of PostgreSQL or Redis, or new secrets: never into the middle of a release, of backups, or of a job.

What is down disturbs nobody when it is started, unless a restore has stopped it: it would go on with the old data, and
take them along into the new ones' place.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from marketplace_container import DockerError
from marketplace_job_runs import containers
from marketplace_lock import Lock, LockHeld
from marketplace_paths import Paths
from marketplace_restore_begun import closed_for, half_done
from marketplace_world import World

ADVICE = "apply again when that is over"
# Some hold their lock for a moment only: who looks after jobs, or clears up.
_MOMENT = 5.0


class Busy(Exception):
    """Something is at work that a restart would disturb; the message names it and says what to do."""


@contextmanager
def undisturbed(paths: Paths, by: str, what: str = "a restart of the data services") -> Iterator[None]:
    """Hold off releases, backups and jobs during the block.

    Args:
        by: who does what they have to wait for.

    Raises:
        Busy: one is at work, or was interrupted and is not settled yet.
    """
    with ExitStack() as stack:
        try:
            for lock in _locks(paths):
                stack.enter_context(lock.held(by, what, _MOMENT))
        except LockHeld as error:
            raise Busy(str(error)) from error
        why = half_done(paths) or _jobs(paths)
        if why:
            raise Busy(why)
        yield


def busy(paths: Paths) -> str | None:
    """Why :func:`undisturbed` would refuse just now, in words; None where it would not. Reads only."""
    for lock in _locks(paths):
        held = lock.refusal()
        if held is not None:
            return str(held)
    return half_done(paths) or _jobs(paths)


@contextmanager
def not_replaced(paths: Paths, by: str) -> Iterator[None]:
    """Hold off whatever puts other data in the live ones' place during the block, in which data services are started.

    Everything else goes on: a release or a job may be what waits for them, and while one has the lock, no restore gets
    it.

    Args:
        by: who does what they have to wait for.

    Raises:
        Busy: data are being replaced, or a restore was interrupted and is not settled yet.
    """
    with ExitStack() as stack:
        with suppress(LockHeld):
            stack.enter_context(Lock(paths.lock).held(by, "starting the data services"))
        why = replaced(paths)
        if why:
            raise Busy(why)
        yield


def replaced(paths: Paths) -> str | None:
    """Why :func:`not_replaced` would refuse just now, in words; None where it would not. Reads only."""
    return closed_for(paths, Lock(paths.lock).holder()) or None


def _locks(paths: Paths) -> tuple[Lock, ...]:
    """In the order in which others take them."""
    return (
        Lock(paths.lock, "release", ADVICE),
        Lock(paths.backup_lock, "backup", ADVICE),
        Lock(paths.jobs_lock, "jobs", ADVICE),
    )


def _jobs(paths: Paths) -> str | None:
    try:
        running = sorted(name for name, state in containers(World.of(paths)).items() if state.running)
    except DockerError as error:
        return str(error)
    return f"job {', '.join(running)} runs (deploy.status, under jobs); {ADVICE}" if running else None
