"""Releases on a droplet, as tests start, stop half way and judge them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.support.droplet import host
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import Answer, call
from tests.support.load.state import sql
from tests.support.waiting import seconds_until
from tests.support.worker import OVERLAPS

PAUSE = "/run/marketplace/pause"
JOURNAL = "/var/lib/marketplace/journal/current.json"
REACH_SECONDS = 120
SETTLE_SECONDS = 180
COLOURS = ("blue", "green")

Result = TypeVar("Result")


def release(droplet: Droplet, version: str, *arguments: str) -> Answer:
    """``deploy.release``, followed to its end; more ``arguments`` as ``soak=3``."""
    return call(droplet, "deploy.release", version, *arguments)


def rollback(droplet: Droplet, *arguments: str) -> Answer:
    """``deploy.rollback``, followed to its end."""
    return call(droplet, "deploy.rollback", *arguments)


def shipped(answer: Answer) -> dict[str, Any]:
    """The record of a release or rollback that has to have gone well."""
    assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
    assert answer.value["outcome"] == "live", answer.value
    record: dict[str, Any] = answer.value
    return record


def ensure_live(droplet: Droplet, version: str) -> None:
    """Have ``version`` live, for a test to begin with; a droplet where it is live already is left alone."""
    if status(droplet)["live"]["version"] != version:
        shipped(release(droplet, version, "soak=0"))


def ensure_schema(droplet: Droplet, heads: list[str]) -> None:
    """Have the schema at ``heads``, for a test to begin with: by going back to the last release that left it there.

    Raises:
        AssertionError: there was none, or a migration since cannot be taken back.
    """
    if sql(droplet, "SELECT version_num FROM alembic_version").split() == heads:
        return
    lives = [record for record in history(droplet) if record["outcome"] == "live"]
    there = next((record for record in lives if record["schema"]["after"] == heads), None)
    assert there is not None, f"no release left the schema at {heads}; begin with a fresh droplet"
    shipped(rollback(droplet, there["release"], "force_schema=True", "soak=0"))


def status(droplet: Droplet) -> dict[str, Any]:
    """``deploy.status``."""
    found: dict[str, Any] = call(droplet, "deploy.status").value
    return found


def history(droplet: Droplet, limit: int = 0) -> list[dict[str, Any]]:
    """``deploy.history``, newest first; all of it unless there is a ``limit``."""
    found: list[dict[str, Any]] = call(droplet, "deploy.history", str(limit)).value
    return found


def live_colour(droplet: Droplet) -> str:
    """Which colour the file that decides it names."""
    return droplet.get("/var/lib/marketplace/live.map").decode().split()[1]


def containers(droplet: Droplet) -> dict[str, str]:
    """Every container on the droplet, by name, and its state (``running``, ``exited`` ...)."""
    listed = droplet.run(["docker", "ps", "--all", "--format={{.Names}} {{.State}}"]).stdout
    return dict(line.split(" ", 1) for line in listed.splitlines())


def answers(droplet: Droplet) -> dict[str, Any]:
    """Who answers through the edge: release, version and colour."""
    url = "https://127.0.0.1:8443/version"
    found: dict[str, Any] = json.loads(
        droplet.run(["curl", "--silent", "--insecure", "--fail", "--max-time", "10", url]).stdout
    )
    return found


def wait_at_rest(droplet: Droplet, seconds: float) -> None:
    """Wait until nothing is in flight and the lock is free: the record comes before the end of settling."""

    def rests() -> bool:
        found = status(droplet)
        return found.get("in_flight", "") is None and found["lock"] is None

    seconds_until(rests, seconds)


def assert_sound(droplet: Droplet, version: str | None = None) -> dict[str, Any]:
    """Everything that holds whenever no release is on its way, however the last one ended.

    Exactly one colour is live and answers; ledger, map and edge agree on it; the lock is free; no container is there
    that should not be, and none is missing.

    Args:
        version: that has to be live.

    Returns:
        What deploy.status says.
    """
    found = status(droplet)
    live: dict[str, Any] = found["live"]
    assert found["lock"] is None, found
    assert found["in_flight"] is None, found
    assert found["ledger"]["broken"] == [], found
    if version is not None:
        assert live["version"] == version, found
    assert live_colour(droplet) == live["colour"]
    answered = answers(droplet)
    assert {name: answered[name] for name in ("release", "version", "colour")} == {
        name: live[name] for name in ("release", "version", "colour")
    }, (answered, live)
    states = containers(droplet)
    allowed = {
        "postgres",
        "redis",
        *(f"{kind}-{colour}" for kind in ("backend", "worker") for colour in COLOURS),
    }
    assert {name for name in states if not name.startswith("job-")} <= allowed, states
    running = {name for name, state in states.items() if state == "running" and not name.startswith("job-")}
    expected = {"postgres", "redis", f"backend-{live['colour']}"}
    assert expected <= running, states
    # Whether there is a worker at all is the image's business; the other colour's never runs.
    assert running - expected <= {f"worker-{live['colour']}"}, states
    return found


def assert_everywhere(droplet: Droplet, version: str) -> None:
    """Each container of the backend and its worker that runs says that it is of ``version``; there is at least one."""
    labels = '--format={{.Names}} {{.Label "marketplace.version"}}'
    listed = droplet.run(["docker", "ps", "--filter=label=marketplace.version", labels]).stdout
    versions = dict(line.split(" ", 1) for line in listed.splitlines())
    assert versions
    assert set(versions.values()) == {version}, versions
    for name in versions:
        told = droplet.run(["docker", "exec", name, "printenv", "VERSION"]).stdout.strip()
        assert told == version, (name, told)
    assert answers(droplet)["version"] == version


def worker_overlaps(droplet: Droplet) -> int:
    """How many pairs of singleton workers ever ran at the same time, by their own heartbeats in the database."""
    there = sql(droplet, "SELECT to_regclass('worker_runs') IS NOT NULL")
    return int(sql(droplet, OVERLAPS)) if there == "t" else 0


# Half way


@contextmanager
def beside(
    droplet: Droplet, action: Callable[[Droplet], Result], count: int = 1
) -> Iterator[list[Future[Result]]]:
    """Have ``action`` done on the droplet beside the block, ``count`` times at once; the block's end waits for it.

    Each has a client of the engine of its own: one client's connections are not for two threads.
    """

    def act() -> Result:
        client = host.connect()
        try:
            return action(Droplet(client, client.containers.get(droplet.name)))
        finally:
            client.close()

    with ThreadPoolExecutor(count) as pool:
        yield [pool.submit(act) for _ in range(count)]


def engine_pids(droplet: Machine) -> list[int]:
    """Main process of every release that is on its way."""
    show = ["systemctl", "show", "--property=MainPID", "--value", "marketplace-release-*.service"]
    return [int(pid) for pid in droplet.run(show).stdout.split() if pid != "0"]


@contextmanager
def stopped_at(
    droplet: Droplet, place: str, action: Callable[[Droplet], Result]
) -> Iterator[tuple[int, Future[Result]]]:
    """Within the block, the release that ``action`` starts stands still where it has reached ``place``.

    Args:
        place: ``<step>:start`` or ``<step>:end``.

    Returns:
        Its process, and what ``action`` will return. It may go on at the block's end, if it is still there.
    """
    droplet.put(PAUSE, place)
    with beside(droplet, action) as (answer,):
        try:
            yield _stopped_engine(droplet, answer), answer
        finally:
            if droplet.running:
                go_on(droplet)


def go_on(droplet: Machine) -> None:
    """Let a release that stands still go on, and no other stop."""
    droplet.run(["rm", "-f", PAUSE])
    for pid in engine_pids(droplet):
        droplet.run(["kill", "-CONT", str(pid)], check=False)


def _stopped_engine(droplet: Machine, answer: Future[Result]) -> int:
    found: list[int] = []

    def stopped() -> bool:
        assert not answer.done(), f"it did not stop on its way: {answer.result()}"
        for pid in engine_pids(droplet):
            state = droplet.run(["ps", "-o", "state=", "-p", str(pid)], check=False).stdout.strip()
            if state == "T":
                found.append(pid)
        return bool(found)

    seconds_until(stopped, REACH_SECONDS)
    return found[0]


def kill(droplet: Machine, pid: int) -> None:
    """kill -9."""
    droplet.run(["kill", "-KILL", str(pid)], check=False)


def wait_settled(droplet: Droplet) -> None:
    """Wait until no release's unit is there any more: the one that was killed has been settled."""

    def over() -> bool:
        units = [
            "systemctl",
            "list-units",
            "--all",
            "--plain",
            "--no-legend",
            "marketplace-release-*.service",
        ]
        return not droplet.run(units).stdout.strip()

    seconds_until(over, SETTLE_SECONDS)
