"""Scheduled jobs that were not started at all, and that nobody looks for them: who is told of it."""

import pytest
from marketplace_jobs_status import jobs_status
from marketplace_survey import survey

from tests.simulation.droplet import Droplet
from tests.simulation.images import DIGEST_2, Image
from tests.support.jobs import (
    HOURLY,
    droplet_with_jobs,  # noqa: F401 - a fixture
    jobs,
    labels,
    last,
    look,
    missed,
    ship,
    wait,
)


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
