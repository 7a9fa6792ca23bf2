"""Scheduled jobs on a droplet: started by the clock, confined, ended in time, told of, and gone with their release."""

from __future__ import annotations

import json
from typing import Any

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.waiting import seconds_until

VERSION = "1.0.9"
PYTHON = ["python3", "-c"]
SAYS = (
    "import json, os; print(json.dumps({'level': 'error', 'message': 'no ' + os.environ['RELEASE']}));"
    "raise SystemExit(3)"
)
SCHEDULE = [
    {"name": "minutely", "command": ["python3", "-m", "marketplace_bot.digest"], "time": "* * * * *"},
    {"name": "fails", "command": [*PYTHON, SAYS], "time": "0 0 1 1 *"},
    {
        "name": "hangs",
        "command": [*PYTHON, "import time; time.sleep(600)"],
        "time": "0 0 1 1 *",
        "timeout": 3,
    },
]
CRON, LOOKED = "/etc/cron.d/marketplace-jobs", "/var/lib/marketplace/jobs.json"
LOOK_SECONDS = 75


def test_jobs_follow_the_release(droplet: Droplet, site: Site) -> None:
    site.backend(VERSION, SCHEDULE=json.dumps(SCHEDULE))
    before = {row["name"] for row in jobs(droplet)["scheduled"]}
    assert before == {"digest"}  # as every version of the example has it
    plan = call(droplet, "deploy.plan", VERSION)
    assert plan.value["jobs"] == ["minutely", "fails", "hangs"]
    record = shipping.shipped(shipping.release(droplet, VERSION, "soak=0"))

    # By hand: what fails says why, and is heard of.
    tries: list[Any] = []

    def begun() -> bool:
        # The clock may have one running just now.
        tries.append(run(droplet, "fails"))
        return bool(tries[-1].value["outcome"] != "refused")

    seconds_until(begun, 60)
    failed = tries[-1]
    assert failed.returncode == 1
    assert (failed.value["outcome"], failed.value["exit_code"]) == ("failed", 3), failed.value
    assert f"no {record['release']}" in failed.value["output"]
    said = call(droplet, "deploy.logs", "service=backend", "lines=0").value
    assert f"no {record['release']}" in [row["message"] for row in said if row["source"] == "job-fails"]
    assert any("job fails failed at" in line for line in jobs(droplet)["trouble"])
    kept = droplet.run(["sh", "-c", "cat /var/lib/marketplace/spool/*job.failed.json"]).stdout
    assert '"kind": "job.failed"' in kept

    # One that hangs is confined as the backend is, keeps others waiting, and is ended.
    with shipping.beside(droplet, lambda beside: run(beside, "hangs")) as (hanging,):
        seconds_until(lambda: "job-hangs" in shipping.containers(droplet), 30)
        own, backend = inspected(droplet, "job-hangs"), inspected(droplet, f"backend-{record['colour']}")
        refused = run(droplet, "fails")
    for name in ("ReadonlyRootfs", "CapDrop", "SecurityOpt", "PidsLimit", "Tmpfs", "NanoCpus"):
        assert own["HostConfig"][name] == backend["HostConfig"][name], name
    assert (own["HostConfig"]["Memory"], own["Config"]["User"]) == (128 << 20, backend["Config"]["User"])
    assert own["NetworkSettings"]["Networks"].keys() == {"app", "data"}
    assert own["HostConfig"]["RestartPolicy"]["Name"] == "no"
    ended = hanging.result().value
    assert (ended["outcome"], refused.value["outcome"]) == ("timed_out", "refused"), (ended, refused.value)
    assert ended["seconds"] < 20
    assert run(droplet, "nothing").value["reason"].endswith("there are: fails, hangs, minutely")

    # By the clock: cron looks every minute, and its next look finds the last minute due again.
    seconds_until(lambda: looked(droplet) is not None, LOOK_SECONDS)
    droplet.run(["rm", LOOKED])
    (line,) = (line for line in droplet.get(CRON).decode().splitlines() if line.startswith("* * * * * root "))
    droplet.run(line.removeprefix("* * * * * root ").split())

    def ran() -> Any:
        last = row(droplet, "minutely")["last"]
        return last is not None and last["by"] == "schedule" and last["outcome"] != "running"

    seconds_until(ran, LOOK_SECONDS)
    found = row(droplet, "minutely")
    assert (found["last"]["outcome"], found["last"]["release"]) == ("succeeded", record["release"]), found

    # And no longer once the release is gone.
    shipping.shipped(shipping.rollback(droplet, "soak=0"))
    assert {one["name"] for one in jobs(droplet)["scheduled"]} == before
    assert not any(name.startswith("job-") for name in shipping.containers(droplet))


def looked(droplet: Droplet) -> str | None:
    """When cron's last look was; None where it never looked."""
    try:
        found: str = json.loads(droplet.get(LOOKED))["looked"]
    except FileNotFoundError:
        return None
    return found


def jobs(droplet: Droplet) -> dict[str, Any]:
    found: dict[str, Any] = shipping.status(droplet)["jobs"]
    return found


def row(droplet: Droplet, name: str) -> dict[str, Any]:
    return next(found for found in jobs(droplet)["scheduled"] if found["name"] == name)


def run(droplet: Droplet, name: str) -> Any:
    return call(droplet, "deploy.job", name)


def inspected(droplet: Droplet, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(droplet.run(["docker", "inspect", name]).stdout)[0]
    return found
