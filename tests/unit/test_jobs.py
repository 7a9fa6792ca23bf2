"""Scheduled jobs of what is live: started, looked after, stopped, and told of. In memory."""

import json
import random
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from marketplace_job_records import JobRecords, JobRun
from marketplace_job_runs import stop_jobs
from marketplace_jobs import JobError, run_now, schedule, tick
from marketplace_jobs_status import jobs_status
from marketplace_progress import Progress
from marketplace_survey import survey

from tests.simulation.droplet import Droplet
from tests.simulation.images import DIGEST_1, DIGEST_2, LABELS, Image, chain
from tests.simulation.operations import going_back, run, shipping

TREE = Path(__file__).parents[2]
OFTEN = {"name": "often", "command": ["tidy", "$HOME"], "time": "*/5 * * * *", "timeout": 60}
HOURLY = {"name": "hourly", "command": ["count"], "time": "30 * * * *"}


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


def labels(*jobs: dict[str, Any]) -> dict[str, str]:
    return LABELS | {"marketplace.schedule": json.dumps(jobs)}


@pytest.fixture
def droplet(droplet: Droplet) -> Droplet:
    """Version 1.0.0 is live and has two jobs, 1.1.0 has one of them."""
    droplet.settings["backend"]["soak"] = 2
    droplet.push("1.0.0", Image(DIGEST_1, labels=labels(OFTEN, HOURLY)))
    droplet.push("1.1.0", Image(DIGEST_2, chain("0001", "0002"), labels(HOURLY)))
    ship(droplet, "1.0.0")
    wait(droplet, "00:02")
    look(droplet)
    return droplet


def ship(droplet: Droplet, version: str, **how: Any) -> str:
    record = run(droplet, shipping(droplet, version, **how)).record
    assert record.outcome == "live", record.reason
    return record.release


def wait(droplet: Droplet, until: str) -> None:
    """Let time pass until the clock on the wall says so, on whatever day comes next."""
    goal = datetime.strptime(until, "%H:%M").replace(tzinfo=droplet.clock.now().tzinfo)
    droplet.clock.seconds += (goal - droplet.clock.now().replace(year=1900, month=1, day=1)).total_seconds()
    droplet.docker.tick()


def look(droplet: Droplet) -> list[str]:
    """Cron's look; what it says."""
    said = Said()
    tick(droplet.world, droplet.settings, said)
    return said.lines


def jobs(droplet: Droplet) -> set[str]:
    return {name for name in droplet.running if name.startswith("job-")}


def last(droplet: Droplet, name: str) -> JobRun:
    found = JobRecords(droplet.paths.jobs, droplet.disk).last(name)
    assert found is not None
    return found


def events(droplet: Droplet) -> list[str]:
    return [event.summary for event in droplet.world.spool.pending() if event.kind == "job.failed"]


def test_a_job_is_started_when_it_is_due_and_recorded_when_it_has_ended(droplet: Droplet) -> None:
    wait(droplet, "00:04")
    assert look(droplet) == []
    assert jobs(droplet) == set()
    wait(droplet, "00:05")
    look(droplet)
    assert jobs(droplet) == {"job-often"}
    assert look(droplet) == []
    wait(droplet, "00:06")
    look(droplet)
    found = last(droplet, "often")
    assert (found.outcome, found.exit_code, found.by) == ("succeeded", 0, "schedule")
    assert "job-often" not in droplet.docker.there
    assert events(droplet) == []
    wait(droplet, "00:10")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_it_is_confined_as_the_backend_is_and_gives_way(droplet: Droplet) -> None:
    found = schedule(droplet.world)
    assert found is not None
    services = yaml.safe_load(droplet.disk.read_text(found.file))["services"]
    job, backend = services["job-often"], services["backend"]
    own = {"container_name", "command", "mem_limit", "memswap_limit", "cpu_shares", "networks", "logging"}
    own |= {"profiles", "restart", "healthcheck", "labels"}
    assert {name: job[name] for name in job.keys() - own} == {
        name: backend[name] for name in job.keys() - own
    }
    assert {"read_only", "cap_drop", "security_opt", "user", "pids_limit", "environment"} <= job.keys() - own
    assert (job["mem_limit"], job["memswap_limit"], job["restart"]) == (64 << 20, 64 << 20, "no")
    assert job["cpu_shares"] < 1024
    assert job["command"] == ["tidy", "$$HOME"]
    assert job["networks"].keys() == {"app", "data"}


def test_a_run_that_goes_on_when_the_next_is_due_is_not_doubled(droplet: Droplet) -> None:
    droplet.docker.job_seconds = 1000.0
    droplet.push("1.0.1", Image(DIGEST_2, labels=labels(OFTEN | {"timeout": 900})))
    ship(droplet, "1.0.1")
    wait(droplet, "00:05")
    look(droplet)
    wait(droplet, "00:10")
    assert look(droplet) == ["job often: not started at 2026-01-01T00:10:00+00:00: the run before it goes on"]
    assert [call for call in droplet.docker.calls if call == ("start_project", "job-often")] == [
        ("start_project", "job-often")
    ]
    (trouble,) = jobs_status(droplet.world, droplet.settings)["trouble"]
    assert trouble.startswith("job often was not started at 2026-01-01T00:10:00")


def test_jobs_run_one_after_the_other(droplet: Droplet) -> None:
    wait(droplet, "00:30")
    look(droplet)
    first = jobs(droplet)
    assert len(first) == 1
    droplet.clock.seconds += 25
    droplet.docker.tick()
    look(droplet)
    assert jobs(droplet) == {"job-often", "job-hourly"} - first


@pytest.mark.parametrize(
    ("code", "seconds", "outcome", "reason"),
    [
        (3, 20.0, "failed", "exit code 3"),
        (137, 20.0, "failed", "it was killed, most likely for its memory"),
        (0, 1000.0, "timed_out", "it took longer than its timeout of 60 s"),
    ],
)
def test_a_failure_is_an_event_and_is_shown(
    droplet: Droplet, code: int, seconds: float, outcome: str, reason: str
) -> None:
    droplet.docker.job_code, droplet.docker.job_seconds = code, seconds
    wait(droplet, "00:05")
    look(droplet)
    for _ in range(7):
        droplet.clock.seconds += 10
        droplet.docker.tick()
    look(droplet)
    found = last(droplet, "often")
    assert (found.outcome, found.output) == (outcome, "the last words of job-often")
    assert reason in found.reason
    assert jobs(droplet) == set()
    (event,) = events(droplet)
    assert outcome.replace("_", " ") in event
    (trouble,) = jobs_status(droplet.world, droplet.settings)["trouble"]
    assert "deploy.job often runs it again, deploy.logs service=backend" in trouble


def test_one_that_can_not_be_started_has_failed(droplet: Droplet) -> None:
    droplet.docker.names.clear()
    wait(droplet, "00:05")
    look(droplet)
    assert last(droplet, "often").reason.startswith(
        "it cannot be started: docker compose failed: No such image"
    )
    assert len(events(droplet)) == 1


def test_a_run_whose_container_is_gone_has_failed(droplet: Droplet) -> None:
    wait(droplet, "00:05")
    look(droplet)
    droplet.docker.there.pop("job-often")
    look(droplet)
    assert last(droplet, "often").reason == "its container is gone"


@pytest.mark.parametrize("keeper", ["operator", "release"])
def test_none_starts_while_the_edge_is_closed_and_what_was_due_comes_afterwards(
    droplet: Droplet, keeper: str
) -> None:
    droplet.world.edge.maintain(keeper, True)
    wait(droplet, "00:06")
    look(droplet)
    assert jobs(droplet) == set()
    status = jobs_status(droplet.world, droplet.settings)
    assert status["pending"] == [f"no job starts: the edge is closed for maintenance by {keeper}"]
    droplet.world.edge.maintain(keeper, False)
    wait(droplet, "00:08")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_none_runs_while_another_host_serves_the_bot_nor_is_missed(droplet: Droplet) -> None:
    wait(droplet, "00:05")
    look(droplet)
    assert jobs(droplet) == {"job-often"}
    droplet.settings["telegram"]["register"] = False
    droplet.disk.place(droplet.paths.settings, json.dumps(droplet.settings))
    look(droplet)
    assert (jobs(droplet), last(droplet, "often").outcome) == (set(), "stopped")
    wait(droplet, "03:06")
    look(droplet)
    assert jobs(droplet) == set()
    why = "another host serves the bot (telegram:register)"
    assert jobs_status(droplet.world, droplet.settings)["pending"] == [f"no job starts: {why}"]
    with pytest.raises(JobError, match="another host serves the bot"):
        run_now(droplet.world, "often", "alice", Said())
    droplet.settings["telegram"]["register"] = True
    droplet.disk.place(droplet.paths.settings, json.dumps(droplet.settings))
    wait(droplet, "03:08")
    assert look(droplet) == []
    assert jobs(droplet) == set()
    wait(droplet, "03:10")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_none_starts_before_the_data_services_are_up(droplet: Droplet) -> None:
    droplet.docker.crash("redis")
    droplet.docker.there["redis"].next_at = float("inf")
    wait(droplet, "00:05")
    look(droplet)
    assert jobs(droplet) == set()
    with pytest.raises(JobError, match="redis is not up"):
        run_now(droplet.world, "often", "alice", Progress())
    droplet.docker.start("redis")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_none_starts_while_the_database_is_restored_and_too_late_is_not_at_all(droplet: Droplet) -> None:
    droplet.disk.place(droplet.paths.restore, "{}")
    wait(droplet, "00:31")
    look(droplet)
    wait(droplet, "01:32")
    assert any("job hourly: not started" in line and "being restored" in line for line in look(droplet))
    assert jobs(droplet) == set()
    with pytest.raises(JobError, match="no job starts now: the database is being restored"):
        run_now(droplet.world, "often", "alice", Progress())


def missed(droplet: Droplet) -> list[str]:
    return [event.summary for event in droplet.world.spool.pending() if event.kind == "job.missed"]


def test_what_is_not_started_at_all_is_told_once_until_it_runs_again(droplet: Droplet) -> None:
    droplet.world.edge.maintain("operator", True)
    for until in ("00:31", "01:32", "02:33", "03:34"):
        wait(droplet, until)
        look(droplet)
    often, hourly = sorted(missed(droplet), reverse=True)
    assert often.startswith(
        "job often was not started at 2026-01-01T00:30:00+00:00, nor within an hour: the edge"
    )
    assert hourly.startswith("job hourly was not started")
    droplet.world.edge.maintain("operator", False)
    for until in ("03:35", "03:36"):
        wait(droplet, until)
        look(droplet)
    assert last(droplet, "often").outcome == "succeeded"
    droplet.world.edge.maintain("operator", True)
    for until in ("03:40", "04:41"):
        wait(droplet, until)
        look(droplet)
    assert len([words for words in missed(droplet) if "job often" in words]) == 2


def surveyed(droplet: Droplet) -> str | None:
    """What the watchdog's survey finds of the jobs."""
    found = survey(droplet.world, droplet.settings, ["jobs"])
    assert found["errors"] == {}
    told: str | None = found["found"]["jobs"]
    return told


@pytest.mark.parametrize("broken", [None, "{", "[1]", '{"looked": "soon"}', '{"looked": 3}'])
def test_that_nobody_looks_is_seen_by_the_watchdog_and_by_status(
    droplet: Droplet, broken: str | None
) -> None:
    wait(droplet, "00:06")
    assert surveyed(droplet) is None
    if broken is None:
        wait(droplet, "00:07")
        words = "nobody has looked for jobs for 5 minutes"
    else:
        droplet.disk.place(droplet.paths.jobs_looked, broken)
        words = f"rm {droplet.paths.jobs_looked} has it begun anew"
    assert words in (surveyed(droplet) or "")
    (trouble,) = jobs_status(droplet.world, droplet.settings)["trouble"]
    assert trouble.startswith("no job starts: ")
    assert words in trouble
    droplet.disk.place(droplet.paths.jobs_looked, "{}")
    look(droplet)
    assert surveyed(droplet) is None


def test_that_nobody_ever_looked_is_seen_too(droplet: Droplet) -> None:
    droplet.disk.place(droplet.paths.jobs_looked, "{}")
    wait(droplet, "00:10")
    assert "nobody has looked for jobs" in (surveyed(droplet) or "")


def test_nobody_has_to_look_where_no_job_could_be_due(droplet: Droplet) -> None:
    droplet.settings["telegram"]["register"] = False
    wait(droplet, "05:00")
    assert surveyed(droplet) is None
    droplet.settings["telegram"]["register"] = True
    assert surveyed(droplet) is not None
    droplet.docker.stop(f"backend-{droplet.live}", grace=1)
    assert surveyed(droplet) is None
    # One that has just come back was not missed meanwhile.
    droplet.docker.start(f"backend-{droplet.live}")
    assert surveyed(droplet) is None


def test_the_schedule_goes_with_the_release_and_comes_back_with_a_rollback(droplet: Droplet) -> None:
    ship(droplet, "1.1.0")
    wait(droplet, "00:10")
    look(droplet)
    assert jobs(droplet) == set()
    assert [row["name"] for row in jobs_status(droplet.world, droplet.settings)["scheduled"]] == ["hourly"]
    assert run(droplet, going_back(droplet)).record.outcome == "live"
    wait(droplet, "00:15")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_a_release_stops_the_old_ones_job_and_the_new_one_runs_it(droplet: Droplet) -> None:
    droplet.docker.job_seconds = 300.0
    wait(droplet, "00:30")
    look(droplet)
    assert jobs(droplet) == {"job-hourly"}
    old = last(droplet, "hourly").release
    new = ship(droplet, "1.1.0")
    found = last(droplet, "hourly")
    assert (found.outcome, found.reason, found.release) == ("stopped", f"release {new} is live", old)
    assert events(droplet) == []
    look(droplet)
    assert droplet.docker.there["job-hourly"].release == new


def test_nothing_runs_while_nothing_is_live(droplet: Droplet) -> None:
    droplet.docker.remove(f"backend-{droplet.live}")
    wait(droplet, "00:05")
    look(droplet)
    assert jobs(droplet) == set()
    assert jobs_status(droplet.world, droplet.settings)["scheduled"] == []
    with pytest.raises(JobError, match="nothing is live"):
        run_now(droplet.world, "often", "alice", Progress())


def test_what_falls_due_while_the_backend_is_stopped_waits_for_it(droplet: Droplet) -> None:
    backend = f"backend-{droplet.live}"
    droplet.docker.stop(backend, grace=1)
    wait(droplet, "00:05")
    look(droplet)
    assert jobs(droplet) == set()
    status = jobs_status(droplet.world, droplet.settings)
    assert status["pending"] == ["no job starts: the backend does not run"]
    with pytest.raises(JobError, match="no job starts now: the backend does not run"):
        run_now(droplet.world, "often", "alice", Progress())
    droplet.docker.start(backend)
    wait(droplet, "00:07")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_what_falls_due_during_a_long_restore_is_told(droplet: Droplet) -> None:
    backend = f"backend-{droplet.live}"
    droplet.disk.place(droplet.paths.restore, "{}")
    droplet.docker.stop(backend, grace=1)
    for until in ("00:30", "01:31"):
        wait(droplet, until)
        look(droplet)
    assert any("job hourly was not started" in words and "restored" in words for words in missed(droplet))
    droplet.disk.remove(droplet.paths.restore)
    droplet.docker.start(backend)
    wait(droplet, "01:35")
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_what_fell_due_while_nobody_looked_is_told(droplet: Droplet) -> None:
    wait(droplet, "02:10")
    look(droplet)
    assert missed(droplet) == []  # Both have a time within the last hour, and start.
    droplet.push("1.0.1", Image(DIGEST_2, labels=labels(HOURLY | {"time": "30 4 * * *"})))
    ship(droplet, "1.0.1")
    look(droplet)
    wait(droplet, "07:00")
    look(droplet)
    (words,) = missed(droplet)
    assert words == (
        "job hourly was not started at 2026-01-01T04:30:00+00:00, nor within an hour: "
        "nobody looked for jobs meanwhile"
    )


def test_one_by_hand(droplet: Droplet) -> None:
    def pass_time(run: JobRun) -> None:
        droplet.clock.seconds += 5
        droplet.docker.tick()

    droplet.docker.job_code = 4
    found = run_now(droplet.world, "hourly", "alice", Progress(), pass_time)
    assert (found.outcome, found.exit_code, found.by) == ("failed", 4, "alice")
    droplet.docker.job_code = 0
    assert run_now(droplet.world, "hourly", "alice", Progress(), pass_time).outcome == "succeeded"
    with pytest.raises(JobError, match="has no job 'hurly'; there are: hourly, often"):
        run_now(droplet.world, "hurly", "alice", Progress())
    wait(droplet, "00:05")
    look(droplet)
    with pytest.raises(JobError, match="job often runs; jobs run one after the other"):
        run_now(droplet.world, "hourly", "alice", Progress())
    # Stopped with the backend: by hand is not made up for, scheduled is.
    assert stop_jobs(droplet.world, "the backend is stopped") == ["often"]
    look(droplet)
    assert jobs(droplet) == {"job-often"}


def test_status_says_what_comes_next(droplet: Droplet) -> None:
    rows = {row["name"]: row for row in jobs_status(droplet.world, droplet.settings)["scheduled"]}
    assert (rows["often"]["next"], rows["hourly"]["next"]) == (
        "2026-01-01T00:05+00:00",
        "2026-01-01T00:30+00:00",
    )
    assert rows["often"]["last"] is None
    wait(droplet, "00:05")
    look(droplet)
    rows = {row["name"]: row for row in jobs_status(droplet.world, droplet.settings)["scheduled"]}
    assert rows["often"]["running"]


def test_a_power_loss_ends_a_run_and_forgets_nothing(droplet: Droplet) -> None:
    wait(droplet, "00:05")
    look(droplet)
    droplet.power_fails(random.Random(1))  # noqa: S311
    droplet.stage.enter()
    look(droplet)
    assert last(droplet, "often").outcome == "failed"
    assert len(events(droplet)) == 1


def test_what_cron_and_the_backends_unit_call_is_there() -> None:
    files = TREE / "salt/marketplace/files"
    cron, unit = (files / name for name in ("jobs.cron", "marketplace-backend.service.jinja"))
    for text, words in ((cron.read_text(), "nice /opt/salt/bin/python"), (unit.read_text(), "ExecStop=-")):
        (called,) = re.findall(r"/srv/deploy/(salt/_utils/\w+\.py)( --stop)?$", text, re.MULTILINE)
        assert words in text
        assert '"--stop"' in (TREE / called[0]).read_text()
