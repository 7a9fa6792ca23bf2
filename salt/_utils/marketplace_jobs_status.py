"""The scheduled jobs of the live release at a glance, for deploy.status. Reads only."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from marketplace_container import DockerError
from marketplace_cron import Cron
from marketplace_edge import EdgeError
from marketplace_job_records import JobRecords, JobRun
from marketplace_job_runs import running_of
from marketplace_jobs import Schedule, in_the_way, schedule, unlooked
from marketplace_schedule import Job
from marketplace_world import World

_GOOD = ("running", "succeeded", "stopped")


def jobs_status(world: World, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """What runs when, how it went, and what is wrong.

    Args:
        settings: the effective settings; None before the first state.apply.

    Returns:
        ``scheduled`` (a row a job: ``name``, ``time``, ``timeout``, ``running``, ``last`` as its run was recorded,
        ``succeeded`` (when it last did), ``next``), ``pending`` (why none starts) and ``trouble``, in sentences.
    """
    try:
        found = schedule(world) if settings is not None else None
        if settings is None or found is None:
            return {"scheduled": [], "pending": [], "trouble": []}
        return _told(world, settings, found)
    except (DockerError, EdgeError, OSError, ValueError) as error:
        return {"scheduled": [], "pending": [], "trouble": [f"the jobs cannot be told: {error}"]}


def _told(world: World, settings: Mapping[str, Any], found: Schedule) -> dict[str, Any]:
    zone = ZoneInfo(settings["droplet"]["timezone"])
    running = running_of(world, lambda release: True)
    records = JobRecords(world.paths.jobs, world.disk)
    rows, trouble = [], []
    for job in found.jobs.values():
        last = records.last(job.name)
        rows.append(
            {
                "name": job.name,
                "time": job.time,
                "timeout": job.timeout,
                "running": job.name in running,
                "last": last.to_dict() if last else None,
                "succeeded": records.succeeded(job.name),
                "next": Cron.parse(job.time).next(world.clock.now(), zone).isoformat(timespec="minutes"),
            }
        )
        trouble += _trouble(job, last, records.skipped(job.name))
    nobody = unlooked(world, settings, found)
    if nobody:
        trouble.append(f"no job starts: {nobody}; deploy.logs service=deploy since=1h has why")
    why = in_the_way(world, found)
    return {
        "scheduled": rows,
        "pending": [f"no job starts: {why}"] if why and rows else [],
        "trouble": trouble,
    }


def _trouble(job: Job, last: JobRun | None, skipped: str | None) -> list[str]:
    said = []
    if last is not None and last.outcome not in _GOOD:
        said.append(
            f"job {job.name} {last.outcome.replace('_', ' ')} at {last.ended} ({last.reason}); "
            f"deploy.job {job.name} runs it again, deploy.logs service=backend since=1d has what it said"
        )
    if skipped:
        said.append(f"job {job.name} was {skipped}")
    return said
