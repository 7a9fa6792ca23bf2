"""Scheduled jobs of the live release: starts those that are due, looks after those that run, and stops what must go.

Who is live decides, at every look anew: nothing is installed that could differ from the live map. A job is a container
of its own, made from the live release's compose file; its name lets it run once at a time, and Docker keeps how it
ended until somebody has looked. So nobody has to stay beside it, and nothing is lost where somebody was killed.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from marketplace_compose import parse_time
from marketplace_cron import MINUTE
from marketplace_docker import ContainerState, DockerError
from marketplace_durable import to_json
from marketplace_job_records import RUNNING, JobRecords, JobRun
from marketplace_lock import LockHeld
from marketplace_log_lines import readable
from marketplace_progress import Progress
from marketplace_release_compose import JOB_LABEL, TIME_LABEL, TIMEOUT_LABEL, is_job, job_container, project
from marketplace_schedule import LATEST_START, Job, due
from marketplace_world import World

SCHEDULE = "schedule"
OUTPUT_LINES = 15
# Whoever has the lock may be waiting for a job to stop, and for its own grace besides.
LOCK_SECONDS = 120.0
# How long a job may take to stop: it may always be killed, so not long.
STOP_SECONDS = 10
DATA_SERVICES = ("postgres", "redis")
# Words of Docker for a container that is over, or that never began.
_OVER = ("created", "exited", "dead")


class JobError(Exception):
    """A job cannot be started; the message says why and what to do."""


@dataclass(frozen=True)
class Schedule:
    """What is live: its release, its compose file, and its jobs by name."""

    release: str
    file: Path
    jobs: Mapping[str, Job]


def schedule(world: World) -> Schedule | None:
    """The jobs of the release whose backend is live and runs; None where none does.

    Raises:
        EdgeError, DockerError, OSError: it cannot be told.
    """
    colour = world.edge.live()
    state = world.docker.containers(project(colour)).get(project(colour)) if colour else None
    if state is None or not state.running:
        return None
    release = state.labels.get("marketplace.release", "")
    file = world.paths.releases / release / "compose.yaml"
    described = yaml.safe_load(world.disk.read_text(file))["services"].values()
    jobs = [_job(service) for service in described if JOB_LABEL in service["labels"]]
    return Schedule(release, file, {job.name: job for job in jobs})


def _job(service: Mapping[str, Any]) -> Job:
    labels = service["labels"]
    return Job(labels[JOB_LABEL], tuple(service["command"]), labels[TIME_LABEL], int(labels[TIMEOUT_LABEL]))


def in_the_way(world: World) -> str | None:
    """Why no job may start now, in words; None where one may."""
    closed = [keeper for keeper, on in world.edge.maintenance().items() if on]
    if closed:
        return f"the edge is closed for maintenance by {' and '.join(closed)}"
    if world.disk.read_json(world.paths.restore) is not None:
        return "the database is being restored"
    states = world.docker.containers(*DATA_SERVICES)
    away = [name for name in DATA_SERVICES if name not in states or states[name].health != "healthy"]
    return f"{' and '.join(away)} {'is' if len(away) == 1 else 'are'} not up" if away else None


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


def tick(world: World, settings: Mapping[str, Any], progress: Progress) -> bool:
    """Look once: what has ended is recorded, what is due is started.

    Returns:
        Whether it is worth looking again soon: something runs, or waits for its turn.
    """
    with alone(world, SCHEDULE):
        running = collect(world, progress)
        found = schedule(world)
        if found is None:
            return bool(running)
        now = world.clock.now()
        looked, waiting = _looked(world, now)
        pending = due(found.jobs.values(), ZoneInfo(settings["droplet"]["timezone"]), looked, now, waiting)
        why = in_the_way(world) if pending else None
        left = {}
        for name, at in pending.items():
            if now - at > LATEST_START:
                _skip(world, name, at, why or "another job ran", progress)
            elif name in running:
                _skip(world, name, at, "the run before it goes on", progress)
            elif why or running:
                left[name] = at
            else:
                run = start(world, found, found.jobs[name], SCHEDULE, progress)
                running = {name} if run.outcome == RUNNING else set()
        _keep_looked(world, now.replace(second=0, microsecond=0), left)
        return bool(running) or (bool(left) and why is None)


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
        _conclude(world, records, judged(world, records, state), progress)
        world.docker.remove(state.name)
    for file in world.disk.names(world.paths.jobs):
        last = records.last(file.removesuffix(".json")) if file.endswith(".json") else None
        if last is not None and last.outcome == RUNNING and last.job not in states:
            _conclude(world, records, _over(world, last, "failed", "its container is gone"), progress)
    return running


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


def start(world: World, found: Schedule, job: Job, by: str, progress: Progress) -> JobRun:
    """Start a job of which none runs; nobody waits for its end. One that can't be started has failed."""
    records = JobRecords(world.paths.jobs, world.disk)
    run = JobRun(job.name, found.release, by, _stamp(world.clock.now()))
    # Said before it is done: a run of which nothing was written would be one that nobody knows of.
    records.write(run)
    progress.say(f"job {job.name} of release {found.release} starts")
    try:
        world.docker.start_project(found.file, job_container(job.name))
    except DockerError as error:
        run = _over(world, run, "failed", f"it cannot be started: {error}")
        _conclude(world, records, run, progress)
        world.docker.remove(job_container(job.name))
    return run


def run_now(
    world: World, name: str, by: str, progress: Progress, wait: Callable[[JobRun], None] = lambda run: None
) -> JobRun:
    """Run a job of the live release at once, and wait for its end.

    Args:
        wait: called between two looks.

    Raises:
        JobError: there is no such job, or it may not start now.
        DockerError, EdgeError, OSError: what is in the way.
    """
    with alone(world, by):
        running = collect(world, progress)
        found = schedule(world)
        if found is None:
            raise JobError("nothing is live that a job could run for; see deploy.status")
        if name not in found.jobs:
            known = f"there are: {', '.join(sorted(found.jobs))}" if found.jobs else "it declares none"
            raise JobError(f"release {found.release} has no job '{name}'; {known}")
        why = in_the_way(world)
        if why:
            raise JobError(f"no job starts now: {why}")
        if running:
            raise JobError(
                f"job {', '.join(sorted(running))} runs; jobs run one after the other: try again later"
            )
        run = start(world, found, found.jobs[name], by, progress)
    records = JobRecords(world.paths.jobs, world.disk)
    while run.outcome == RUNNING:
        wait(run)
        with alone(world, by):
            collect(world, progress)
        last = records.last(name)
        if last is None or last.started != run.started:
            raise JobError(f"job {name} has ended, and another run has begun since; see deploy.status")
        run = last
    return run


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
                    looked, waiting = _looked(world, now)
                    _keep_looked(world, looked, waiting | {name: now})
                world.docker.remove(state.name)
    return stopped


def judged(world: World, records: JobRecords, state: ContainerState) -> JobRun:
    """How a run ended whose container is over."""
    name, release = state.labels[JOB_LABEL], state.labels.get("marketplace.release", "")
    started, ended = parse_time(state.started), parse_time(state.finished)
    last = records.last(name)
    if last is None or last.outcome != RUNNING or last.release != release:
        last = JobRun(name, release, SCHEDULE, _stamp(datetime.fromtimestamp(started, UTC)))
    if not started:
        return _over(world, last, "failed", "it was not started")
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
        _over(world, last, outcome, reason),
        ended=_stamp(datetime.fromtimestamp(ended, UTC)),
        seconds=round(seconds, 1),
        exit_code=state.exit_code,
        output=output,
    )


def _over(world: World, run: JobRun, outcome: str, reason: str) -> JobRun:
    return replace(run, outcome=outcome, reason=reason, ended=_stamp(world.clock.now()))


def _conclude(world: World, records: JobRecords, run: JobRun, progress: Progress) -> None:
    """Tell of a run that is over, and then record it: each may be done again."""
    words = f"job {run.job} of release {run.release}: {run.outcome.replace('_', ' ')}"
    words += f" ({run.reason})" if run.reason else ""
    progress.say(words)
    if run.outcome != "succeeded":
        moment = f"{datetime.fromisoformat(run.started):%Y%m%dT%H%M%SZ}"
        world.spool.emit("job.failed", "warning", words, run.to_dict(), subject=f"{moment}-{run.job}")
    records.write(run)


def _skip(world: World, name: str, at: datetime, why: str, progress: Progress) -> None:
    words = f"not started at {_stamp(at)}: {why}"
    progress.say(f"job {name}: {words}")
    JobRecords(world.paths.jobs, world.disk).skip(name, words)


def _overdue(world: World, state: ContainerState) -> bool:
    ran = world.clock.now().timestamp() - parse_time(state.started)
    return ran >= int(state.labels[TIMEOUT_LABEL])


def _looked(world: World, now: datetime) -> tuple[datetime, dict[str, datetime]]:
    """When it was last asked what is due, and what waits since; a clock that was put back is believed."""
    document = world.disk.read_json(world.paths.jobs_looked) or {}
    before = now.replace(second=0, microsecond=0) - MINUTE
    looked = datetime.fromisoformat(document["looked"]) if "looked" in document else before
    waiting = {name: datetime.fromisoformat(at) for name, at in document.get("waiting", {}).items()}
    return (looked if looked <= now else before), waiting


def _keep_looked(world: World, looked: datetime, waiting: Mapping[str, datetime]) -> None:
    document = {"looked": _stamp(looked), "waiting": {name: _stamp(at) for name, at in waiting.items()}}
    if document != world.disk.read_json(world.paths.jobs_looked):
        world.disk.write(world.paths.jobs_looked, to_json(document))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
