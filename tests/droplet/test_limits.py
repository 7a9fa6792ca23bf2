"""Each service beyond each of its limits, on purpose: the limit holds, the others stay well, and users lose nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine, Result
from tests.support.droplet.salt import call
from tests.support.load import running
from tests.support.load.running import Load
from tests.support.waiting import seconds_until

SERVICES = ("backend", "postgres", "redis")
HERE = {
    "test_a_spinning_service_gets_its_share_of_the_processors_and_no_more": ["backend"],
    "test_who_takes_too_much_memory_is_killed_alone": ["redis"],
    "test_a_fork_bomb_ends_at_the_limit": ["postgres"],
    "test_a_full_disk_is_its_owners_alone": ["postgres"],
    "test_a_flood_of_log_lines_is_cut_off_and_nobody_waits_for_it": ["backend"],
}
FILL = "dd if=/dev/zero of={file} bs=1M; status=$?; exit $status"
FILLED = {"postgres": "/var/lib/postgresql/data/fill", "redis": "/data/fill", "backend": "/tmp/fill"}
WELL_SECONDS = 60
FLOOD = 100_000
"""Lines; the journal keeps at most 60,000 of a flood."""
FLOOD_SECONDS = 45
"""The journal says that it dropped something when its half minute is over."""


@pytest.fixture(scope="module")
def users(droplet: Droplet, neighbour: Machine) -> Iterator[Load]:
    """People who write to the bot through all of this."""
    with running.users(neighbour, droplet, 20, 0.5) as load:
        yield load


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Beyond each limit one service goes here; the others do in ``make soak``."""
    if "service" in metafunc.fixturenames:
        metafunc.parametrize("service", HERE.get(metafunc.function.__name__, SERVICES))


def container(droplet: Droplet, service: str) -> str:
    return f"backend-{shipping.live_colour(droplet)}" if service == "backend" else service


def inside(droplet: Droplet, service: str, script: str) -> Result:
    """A shell script in a service's container, as whom the service runs."""
    argv = ["docker", "exec", container(droplet, service), "sh", "-c", script]
    return droplet.run(argv, check=False, timeout=120)


def started(droplet: Droplet, name: str) -> str:
    """When a container was started last, and how often again."""
    return droplet.run(["docker", "inspect", "--format={{.State.StartedAt}} {{.RestartCount}}", name]).stdout


def limit(droplet: Droplet, service: str, name: str) -> float:
    settings = json.loads(droplet.get("/etc/marketplace/settings.json"))
    return float(settings[service]["limits"][name])


def unwell(droplet: Droplet) -> set[str]:
    """Services that are not healthy; the edge itself is always asked as well."""
    found = call(droplet, "health.check", "brief=True").value["services"]
    return {name for name, status in found.items() if status != "healthy"}


def detail(droplet: Droplet, service: str) -> str:
    """What health.check says of a service, in words."""
    return str(call(droplet, "health.check").value["services"][service]["detail"])


def well_again(droplet: Droplet) -> None:
    seconds_until(lambda: not unwell(droplet), WELL_SECONDS)


def test_a_spinning_service_gets_its_share_of_the_processors_and_no_more(
    droplet: Droplet, users: Load, service: str
) -> None:
    spin = "for n in 1 2 3; do timeout 8 sh -c 'while :; do :; done' & done; wait"
    with shipping.beside(droplet, lambda other: inside(other, service, spin)):
        name = container(droplet, service)
        # Docker's own measure, taken over a second or two: another one of the warm-up does not count.
        shares = [
            float(
                droplet.run(["docker", "stats", "--no-stream", "--format={{.CPUPerc}}", name]).stdout.strip(
                    "%\n"
                )
            )
            for _ in range(2)
        ]
        assert unwell(droplet) <= {service}
    allowed = 100 * limit(droplet, service, "cpus")
    assert allowed / 3 < shares[1] < allowed * 1.2, shares
    well_again(droplet)


def test_who_takes_too_much_memory_is_killed_alone(droplet: Droplet, users: Load, service: str) -> None:
    others = {name: container(droplet, name) for name in SERVICES if name != service}
    before = {name: started(droplet, others[name]) for name in others}
    taken = inside(droplet, service, "head -c 3G /dev/zero | tail -c 3G | wc -c")
    assert taken.stdout.strip() != str(3 << 30), "nobody stopped it"
    assert {name: started(droplet, others[name]) for name in others} == before
    assert unwell(droplet) <= {service, "backend"}
    well_again(droplet)


def test_a_fork_bomb_ends_at_the_limit(droplet: Droplet, users: Load, service: str) -> None:
    most = int(limit(droplet, service, "pids"))
    bomb = f"n=0; while [ $n -lt {most * 2} ]; do sleep 4 & n=$((n+1)); done; echo all of them"
    with shipping.beside(droplet, lambda other: inside(other, service, bomb)) as bombs:
        # Somebody hears of it while it lasts.
        seconds_until(lambda: "processes" in detail(droplet, service), 10)
    done = bombs[0].result()
    assert "fork" in done.stderr.lower() or "resource" in done.stderr.lower(), done
    assert "all of them" not in done.stdout
    assert unwell(droplet) <= {service, "backend"}
    well_again(droplet)


def test_a_full_disk_is_its_owners_alone(droplet: Droplet, users: Load, service: str) -> None:
    file = FILLED[service]
    free = droplet.run(["df", "--output=avail", "--block-size=1M", "/", "/var"]).stdout
    try:
        done = inside(droplet, service, FILL.format(file=file))
        assert "No space left on device" in done.stderr, done
        after = droplet.run(["df", "--output=avail", "--block-size=1M", "/", "/var"]).stdout
        # Others write on, for local droplets share a disk; half a gigabyte or more was filled.
        pairs = zip(free.split()[1:], after.split()[1:], strict=True)
        assert all(int(then) - int(now) < 250 for then, now in pairs), (free, after)
        assert not unwell(droplet) - {service, "backend"}
        if service != "backend":  # whose disk is memory
            assert "its disk is" in detail(droplet, service)
    finally:
        inside(droplet, service, f"rm -f {file}")
        if service == "postgres":  # it may be down for want of room, and then nobody is inside
            droplet.run(["rm", "-f", "/srv/data/postgres/data/fill"])
    well_again(droplet)


def test_a_flood_of_log_lines_is_cut_off_and_nobody_waits_for_it(
    droplet: Droplet, users: Load, service: str
) -> None:
    before = users.figures().failed
    flood = f"yes 'a flood of {service}' | head -n {FLOOD} > /proc/1/fd/1"
    assert inside(droplet, service, flood).ok
    # What was said of an earlier flood is said for some minutes.
    others = {name for name in unwell(droplet) if "its log is cut off" not in detail(droplet, name)}
    assert others <= {service}
    droplet.run(["journalctl", f"--namespace={service}", "--sync"])
    words = [
        "journalctl",
        f"--namespace={service}",
        "--quiet",
        "--output=cat",
        f"--grep=^a flood of {service}$",
    ]
    assert droplet.run(words, check=False).stdout.count("\n") < FLOOD
    assert users.figures().failed == before


def test_who_floods_the_log_is_named(droplet: Droplet, users: Load) -> None:
    # The journal says so with the service's next line, and the backend always has one.
    seconds_until(lambda: "its log is cut off" in detail(droplet, "backend"), FLOOD_SECONDS)


def test_nothing_outside_its_own_directories_can_be_written(droplet: Droplet, service: str) -> None:
    for path in ("/x", "/etc/x", "/usr/bin/x", "/run/secrets/x"):
        assert "Read-only file system" in inside(droplet, service, f"touch {path}").stderr


def test_users_lost_nothing(droplet: Droplet, users: Load) -> None:
    users.assert_lossless(droplet, failed=None)
