"""Scheduled jobs of the live release: which they are, and starting those that are due.

Who is live decides, at every look anew: nothing is installed that could differ from the live map. A job is made from
the live release's compose file, and its container's name lets it run once at a time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from marketplace_container import DockerError
from marketplace_cron import MINUTE
from marketplace_job_records import RUNNING, JobRecords, JobRun
from marketplace_job_runs import (
    SCHEDULE,
    alone,
    collect,
    conclude,
    keep_looked,
    looked,
    over,
    stamp,
    stop_jobs,
)
from marketplace_managed import SERVICES, ours
from marketplace_progress import Progress
from marketplace_release_compose import (
    JOB_LABEL,
    TIME_LABEL,
    TIMEOUT_LABEL,
    job_container,
    project,
    serves_here,
)
from marketplace_schedule import LATEST_START, Job, due
from marketplace_world import World

# Cron looks every minute; whoever stops a job holds it up for two at most.
UNLOOKED = timedelta(minutes=5)
_ELSEWHERE = "another host serves the bot (telegram:register)"


class JobError(Exception):
    """A job cannot be started; the message says why and what to do."""


@dataclass(frozen=True)
class Schedule:
    """What is live: its release, its compose file, whether its backend runs and since when, and its jobs by name."""

    release: str
    file: Path
    running: bool
    begun: datetime
    jobs: Mapping[str, Job]


def schedule(world: World) -> Schedule | None:
    """The jobs of the release that is live; None where none is, or its backend's container is gone.

    One that is stopped counts, as during a restore: what falls due meanwhile waits.

    Raises:
        EdgeError, DockerError, OSError: it cannot be told.
    """
    colour = world.edge.live()
    state = world.docker.containers(project(colour)).get(project(colour)) if colour else None
    if state is None:
        return None
    release = state.labels.get("marketplace.release", "")
    file = world.paths.releases / release / "compose.yaml"
    described = yaml.safe_load(world.disk.read_text(file))["services"].values()
    jobs = [_job(service) for service in described if JOB_LABEL in service["labels"]]
    return Schedule(release, file, state.running, state.begun, {job.name: job for job in jobs})


def _job(service: Mapping[str, Any]) -> Job:
    labels = service["labels"]
    return Job(labels[JOB_LABEL], tuple(service["command"]), labels[TIME_LABEL], int(labels[TIMEOUT_LABEL]))


def in_the_way(world: World, found: Schedule) -> str | None:
    """Why no job may start now, in words; None where one may.

    A provider's services are not looked at: a job that needs one that is away fails, as it does in the midst of it.
    """
    closed = [keeper for keeper, on in world.edge.maintenance().items() if on]
    if closed:
        return f"the edge is closed for maintenance by {' and '.join(closed)}"
    if world.disk.read_json(world.paths.restore) is not None:
        return "the database is being restored"
    settings = world.disk.read_json(world.paths.settings)
    if settings is not None and not serves_here(settings):
        return _ELSEWHERE
    here = SERVICES if settings is None else ours(settings)
    states = world.docker.containers(*here)
    away = [name for name in here if name not in states or states[name].health != "healthy"]
    if away:
        return f"{' and '.join(away)} {'is' if len(away) == 1 else 'are'} not up"
    return None if found.running else "the backend does not run"


def tick(world: World, settings: Mapping[str, Any], progress: Progress) -> bool:
    """Look once: what has ended is recorded, what is due is started.

    Returns:
        Whether it is worth looking again soon: something runs, or waits for its turn.
    """
    if not serves_here(settings):
        stop_jobs(world, _ELSEWHERE)
    with alone(world, SCHEDULE):
        running = collect(world, progress)
        now = world.clock.now()
        if not serves_here(settings):
            # Nothing is due here, nor was anything missed once that changes.
            keep_looked(world, now.replace(second=0, microsecond=0), {})
            return bool(running)
        found = schedule(world)
        if found is None:
            return bool(running)
        since, waiting = looked(world, now)
        pending = due(found.jobs.values(), ZoneInfo(settings["droplet"]["timezone"]), since, now, waiting)
        why = in_the_way(world, found) if pending else None
        left = {}
        for name, at in pending.items():
            if now - at > LATEST_START:
                held = (why or "another job ran") if name in waiting else "nobody looked for jobs meanwhile"
                _miss(world, name, at, held, progress)
            elif name in running:
                _skip(world, name, at, "the run before it goes on", progress)
            elif why or running:
                left[name] = at
            else:
                run = start(world, found, found.jobs[name], SCHEDULE, progress)
                running = {name} if run.outcome == RUNNING else set()
        keep_looked(world, now.replace(second=0, microsecond=0), left)
        return bool(running) or (bool(left) and why is None)


def start(world: World, found: Schedule, job: Job, by: str, progress: Progress) -> JobRun:
    """Start a job of which none runs; nobody waits for its end. One that can't be started has failed."""
    records = JobRecords(world.paths.jobs, world.disk)
    run = JobRun(job.name, found.release, by, stamp(world.clock.now()))
    # Said before it is done: a run of which nothing was written would be one that nobody knows of.
    records.write(run)
    progress.say(f"job {job.name} of release {found.release} starts")
    try:
        world.docker.start_project(found.file, job_container(job.name))
    except DockerError as error:
        run = over(world, run, "failed", f"it cannot be started: {error}")
        conclude(world, records, run, progress)
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
        why = in_the_way(world, found)
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


def unlooked(world: World, settings: Mapping[str, Any], found: Schedule) -> str | None:
    """Why jobs that are due do not start, where that is because nobody looks; None where somebody does."""
    if not found.jobs or not found.running or not serves_here(settings):
        return None
    file = world.paths.jobs_looked
    try:
        told = (world.disk.read_json(file) or {}).get("looked")
        since = max(datetime.fromisoformat(told), found.begun) if told else found.begun
    except (AttributeError, TypeError, ValueError) as error:
        return f"it cannot be read when jobs were last looked at ({error}): rm {file} has it begun anew"
    waited = world.clock.now() - since
    return f"nobody has looked for jobs for {waited // MINUTE} minutes" if waited >= UNLOOKED else None


def _miss(world: World, name: str, at: datetime, why: str, progress: Progress) -> None:
    """Leave a job to its next time, and tell so: once, until it runs again."""
    if JobRecords(world.paths.jobs, world.disk).skipped(name) is None:
        words = f"job {name} was not started at {stamp(at)}, nor within an hour: {why}"
        world.spool.emit("job.missed", "warning", words, subject=f"{at:%Y%m%dT%H%M%SZ}-{name}")
    _skip(world, name, at, why, progress)


def _skip(world: World, name: str, at: datetime, why: str, progress: Progress) -> None:
    words = f"not started at {stamp(at)}: {why}"
    progress.say(f"job {name}: {words}")
    JobRecords(world.paths.jobs, world.disk).skip(name, words)
