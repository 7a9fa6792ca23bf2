"""When no scheduled job starts, and that what was due meanwhile comes afterwards."""

import json

import pytest
from marketplace_jobs import JobError, run_now
from marketplace_jobs_status import jobs_status
from marketplace_progress import Progress

from tests.simulation.droplet import Droplet
from tests.support.jobs import (
    Said,
    droplet_with_jobs,  # noqa: F401 - a fixture
    jobs,
    last,
    look,
    wait,
)


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
