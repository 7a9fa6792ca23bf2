"""Scheduled jobs of what is live: started, confined, looked after, stopped, and run by hand. In memory."""

import random
import re
from pathlib import Path

import pytest
import yaml
from marketplace_job_records import JobRun
from marketplace_job_runs import stop_jobs
from marketplace_jobs import JobError, run_now, schedule
from marketplace_jobs_status import jobs_status
from marketplace_progress import Progress

from tests.simulation.droplet import Droplet
from tests.simulation.images import DIGEST_2, Image
from tests.simulation.operations import going_back, run
from tests.support.jobs import (
    OFTEN,
    droplet_with_jobs,  # noqa: F401 - a fixture
    events,
    jobs,
    labels,
    last,
    look,
    ship,
    wait,
)

TREE = Path(__file__).parents[2]


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
