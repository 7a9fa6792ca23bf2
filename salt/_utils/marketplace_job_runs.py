"""Runs of scheduled jobs: looked after, recorded when they are over, and stopped where they must go.

A job is a container of its own. Docker keeps how it ended until somebody has looked, so nobody has to stay beside it,
and nothing is lost where somebody was killed.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from marketplace_compose import parse_time
from marketplace_container import ContainerState, DockerError
from marketplace_cron import MINUTE
from marketplace_durable import to_json
from marketplace_job_records import RUNNING, JobRecords, JobRun
from marketplace_lock import LockHeld
from marketplace_log_lines import readable
from marketplace_progress import Progress
from marketplace_release_compose import JOB_LABEL, TIMEOUT_LABEL, is_job
from marketplace_world import World

SCHEDULE = "schedule"
OUTPUT_LINES = 15
# Whoever has the lock may be waiting for a job to stop, and for its own grace besides.
LOCK_SECONDS = 120.0
# How long a job may take to stop: it may always be killed, so not long.
STOP_SECONDS = 10
# Words of Docker for a container that is over, or that never began.
_OVER = ("created", "exited", "dead")


@contextlib.contextmanager
def alone(world: World, by: str, wait: float = LOCK_SECONDS) -> Iterator[None]:
    """Nobody else starts, stops or looks after jobs during the block.

    Raises:
        DockerError: somebody is at it for longer than ``wait`` seconds.
    """
    try:
        with world.jobs_lock.held(by, "looking after jobs", wait):
            yield
    except LockHeld as error:
        raise DockerError(str(error)) from error


def containers(world: World) -> dict[str, ContainerState]:
    """The jobs' containers, running or not, by the job's name."""
    names = [name for name in world.docker.projects() if is_job(name)]
    states = world.docker.containers(*names).values()
    return {state.labels[JOB_LABEL]: state for state in states if JOB_LABEL in state.labels}


def running_of(world: World, chosen: Callable[[str], bool]) -> dict[str, ContainerState]:
    """The jobs that run and are of releases which are ``chosen``."""
    return {
        name: state
        for name, state in containers(world).items()
        if state.status not in _OVER and chosen(state.labels.get("marketplace.release", ""))
    }


def collect(world: World, progress: Progress) -> set[str]:
    """Record the jobs that have ended, and end those that take too long. The names of those that run on."""
    records = JobRecords(world.paths.jobs, world.disk)
    states = containers(world)
    running = set()
    for name, state in states.items():
        if state.status not in _OVER and not _overdue(world, state):
            running.add(name)
            continue
        if state.status not in _OVER:
            world.docker.stop(state.name, grace=STOP_SECONDS)
            state = world.docker.containers(state.name).get(state.name, state)
        conclude(world, records, judged(world, records, state), progress)
        world.docker.remove(state.name)
    for file in world.disk.names(world.paths.jobs):
        last = records.last(file.removesuffix(".json")) if file.endswith(".json") else None
        if last is not None and last.outcome == RUNNING and last.job not in states:
            conclude(world, records, over(world, last, "failed", "its container is gone"), progress)
    return running


def judged(world: World, records: JobRecords, state: ContainerState) -> JobRun:
    """How a run ended whose container is over."""
    name, release = state.labels[JOB_LABEL], state.labels.get("marketplace.release", "")
    started, ended = parse_time(state.started), parse_time(state.finished)
    last = records.last(name)
    if last is None or last.outcome != RUNNING or last.release != release:
        last = JobRun(name, release, SCHEDULE, stamp(datetime.fromtimestamp(started, UTC)))
    if not started:
        return over(world, last, "failed", "it was not started")
    seconds, timeout = max(0.0, ended - started), int(state.labels[TIMEOUT_LABEL])
    if seconds >= timeout:
        outcome, reason = "timed_out", f"it took longer than its timeout of {timeout} s"
    elif state.exit_code == 0:
        outcome, reason = "succeeded", ""
    else:
        outcome, reason = "failed", f"exit code {state.exit_code}"
        if state.killed:
            reason = "it was killed, most likely for its memory (backend:limits:job_memory)"
    output = readable(world.scrubbed(world.docker.logs(state.name, OUTPUT_LINES)), OUTPUT_LINES)
    return replace(
        over(world, last, outcome, reason),
        ended=stamp(datetime.fromtimestamp(ended, UTC)),
        seconds=round(seconds, 1),
        exit_code=state.exit_code,
        output=output,
    )


def over(world: World, run: JobRun, outcome: str, reason: str) -> JobRun:
    """A run that is over now."""
    return replace(run, outcome=outcome, reason=reason, ended=stamp(world.clock.now()))


def conclude(world: World, records: JobRecords, run: JobRun, progress: Progress) -> None:
    """Tell of a run that is over, and then record it: each may be done again."""
    words = f"job {run.job} of release {run.release}: {run.outcome.replace('_', ' ')}"
    words += f" ({run.reason})" if run.reason else ""
    progress.say(words)
    if run.outcome != "succeeded":
        moment = f"{datetime.fromisoformat(run.started):%Y%m%dT%H%M%SZ}"
        world.spool.emit("job.failed", "warning", words, run.to_dict(), subject=f"{moment}-{run.job}")
    records.write(run)


def stop_jobs(world: World, why: str, chosen: Callable[[str], bool] = lambda release: True) -> list[str]:
    """Stop the jobs of releases that are ``chosen``. What was scheduled is due again, for whoever is live then.

    Returns:
        Their names.

    Raises:
        DockerError: one cannot be stopped.
    """
    stopped = []
    with alone(world, why):
        records = JobRecords(world.paths.jobs, world.disk)
        for name, state in running_of(world, chosen).items():
            world.docker.stop(state.name, grace=STOP_SECONDS)
            stopped.append(name)
            state = world.docker.containers(state.name).get(state.name, state)
            # A full disk keeps nothing running: what cannot be recorded now is by the next look.
            with contextlib.suppress(OSError, ValueError):
                run = replace(judged(world, records, state), outcome="stopped", reason=why)
                records.write(run)
                if run.by == SCHEDULE:
                    now = world.clock.now()
                    since, waiting = looked(world, now)
                    keep_looked(world, since, waiting | {name: now})
                world.docker.remove(state.name)
    return stopped


def _overdue(world: World, state: ContainerState) -> bool:
    ran = world.clock.now().timestamp() - parse_time(state.started)
    return ran >= int(state.labels[TIMEOUT_LABEL])


def looked(world: World, now: datetime) -> tuple[datetime, dict[str, datetime]]:
    """When it was last asked what is due, and what waits since; a clock that was put back is believed."""
    document = world.disk.read_json(world.paths.jobs_looked) or {}
    before = now.replace(second=0, microsecond=0) - MINUTE
    since = datetime.fromisoformat(document["looked"]) if "looked" in document else before
    waiting = {name: datetime.fromisoformat(at) for name, at in document.get("waiting", {}).items()}
    return (since if since <= now else before), waiting


def keep_looked(world: World, since: datetime, waiting: Mapping[str, datetime]) -> None:
    """Keep what :func:`looked` tells."""
    document = {"looked": stamp(since), "waiting": {name: stamp(at) for name, at in waiting.items()}}
    if document != world.disk.read_json(world.paths.jobs_looked):
        world.disk.write(world.paths.jobs_looked, to_json(document))


def stamp(moment: datetime) -> str:
    """A moment as records have it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
