"""Who reaches whom: from each container, what it should not reach it cannot."""

from __future__ import annotations

import pytest

from tests.support import inside, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call

POSTGRES, REDIS = "10.213.20.10:5432", "10.213.20.11:6380"
APP, DATA = "10.213.10", "10.213.20"
COLOURS = {"blue": 21, "green": 22}
METADATA = "169.254.169.254:80"


def targets(droplet: Droplet) -> dict[str, str]:
    """Everything that a container might be after, and what it is."""
    outside = droplet.run(["getent", "ahostsv4", "botapi.test"]).stdout.split()[0]
    number = COLOURS[shipping.live_colour(droplet)]
    found = {
        POSTGRES: "PostgreSQL",
        REDIS: "Redis",
        "10.213.20.11:6379": "Redis without TLS",
        f"{APP}.{number}:8080": "the live backend",
        f"{DATA}.{number}:8080": "the live backend on the data network",
        f"{outside}:8081": "the world",
        METADATA: "the provider's metadata",
    }
    # The host's own services, by each of its addresses.
    for address in (f"{APP}.1", f"{DATA}.1", "10.213.0.1", droplet.address()):
        found |= {f"{address}:{port}": "the host" for port in (22, 80, 443, 8443, 8405, 9093)}
    return found


@pytest.mark.parametrize(
    ("container", "allowed"),
    [
        ("backend", {"PostgreSQL", "Redis", "the world", "itself"}),
        ("postgres", {"itself"}),
        ("redis", {"itself"}),
    ],
)
def test_each_container_reaches_what_it_is_for(droplet: Droplet, container: str, allowed: set[str]) -> None:
    known = targets(droplet)
    name = inside.live(droplet) if container == "backend" else container
    own = {"backend": "the live backend", "postgres": "PostgreSQL", "redis": "Redis"}[container]
    for address, what in known.items():
        if what.startswith(own) and what != "Redis without TLS":
            known[address] = "itself"
    found = {known[address] for address in inside.reached(droplet, name, known)}
    assert found == allowed


def test_another_container_of_the_application_reaches_no_colour(droplet: Droplet) -> None:
    image = droplet.run(["docker", "inspect", "--format", "{{.Image}}", "redis"]).stdout.strip()
    name = "isolation-probe"
    start = [
        "docker",
        "run",
        "--detach",
        f"--name={name}",
        "--network=app",
        "--entrypoint=sleep",
        image,
        "60",
    ]
    droplet.run(start)
    try:
        droplet.run(["docker", "network", "connect", "data", name])
        known = targets(droplet)
        found = {known[address] for address in inside.reached(droplet, name, known)}
        assert found == {"PostgreSQL", "Redis", "the world"}
    finally:
        droplet.run(["docker", "rm", "--force", name])


def test_isolation_that_was_taken_away_is_put_back(droplet: Droplet) -> None:
    forbidden = "10.213.20.11:6380"
    droplet.run(["nft", "delete", "table", "bridge", "isolation"])
    assert inside.reached(droplet, "postgres", [forbidden]) == {forbidden}
    done = call(droplet, "state.apply", "marketplace.isolation")
    assert (done.failed, set(done.changed)) == ({}, {"Ensure the containers are isolated"})
    assert inside.reached(droplet, "postgres", [forbidden]) == set()
    assert call(droplet, "state.apply", "marketplace.isolation").changed == {}


def test_containers_speak_no_other_protocol_that_nobody_filters(droplet: Droplet) -> None:
    for name in (inside.live(droplet), "postgres", "redis"):
        pid = droplet.run(["docker", "inspect", "--format", "{{.State.Pid}}", name]).stdout.strip()
        shown = droplet.run(["nsenter", f"--target={pid}", "--net", "ip", "-6", "-oneline", "address"]).stdout
        assert {line.split()[1] for line in shown.splitlines()} <= {"lo"}, (name, shown)
