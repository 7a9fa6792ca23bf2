"""The same new version under the same load: by our engine, by Compose, and by scaling up and down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.progress import Progress
from tests.support.droplet.site import Site
from tests.support.load.figures import figures
from tests.support.load.running import Load, Target, edge

from . import ours
from .peers import Peer

CLIENTS, RATE = 100, 0.5
SOAK = 20
"""Seconds: the setting's default."""
REST = 200
"""Requests between two runs."""


@dataclass(frozen=True)
class Shipping:
    """One new version shipped in one way, as its users saw it: seconds it took, and the load's figures meanwhile."""

    seconds: float
    watched: float
    requests: int
    failed: int
    gap_ms: float
    p99_ms: float


Move = Callable[[], float]
"""Ships the next version; returns the seconds of it that were only watching."""


def measure(
    neighbour: Machine, target: Target, droplet: Droplet, move: Move, runs: int, say: Callable[[str], None]
) -> list[Shipping]:
    """Ship so many times under load; nothing may be lost for good in any way of doing it."""
    load = Load(neighbour, target, CLIENTS, RATE)
    found = []
    try:
        load.start()
        for _ in range(runs):
            load.pause_until(REST)
            with load.window():
                watched = move()
            window = load.windows[-1]
            seen = figures(load.entries(), [window])
            found.append(
                Shipping(
                    window.end - window.start,
                    watched,
                    seen.requests,
                    seen.failed,
                    seen.gap_ms or 0,
                    seen.p99_ms or 0,
                )
            )
            say(f"{found[-1].seconds:.1f} s, {seen}")
        load.pause_until(REST)
        load.assert_lossless(droplet, failed=None)
    finally:
        load.abandon()
    return found


def all_ways(
    site: Site, droplet: Droplet, neighbour: Machine, runs: int, progress: Progress
) -> dict[str, list[Shipping]]:
    """Each way, so many times, one way after the other on the one droplet."""
    images = [site.backend(version).reference for version in ours.VERSIONS]

    def release() -> float:
        record = shipping.shipped(shipping.release(droplet, ours.other(droplet), f"soak={SOAK}"))
        return float(next(step["seconds"] for step in record["steps"] if step["name"] == "soak"))

    with progress.step("deploy.release under load"):
        found = {"deploy.release": measure(neighbour, edge(droplet), droplet, release, runs, progress.note)}
    peer = Peer(site, droplet)
    for reference in images:
        droplet.run(["docker", "pull", "--quiet", reference])
    with peer.standing(images[0]) as target:
        for name, move in (("docker compose up -d --wait", peer.up), ("scale up, scale down", peer.scale)):

            def ship(move: Callable[[str], None] = move) -> float:
                move(images[1] if peer.image() == images[0] else images[0])
                return 0.0

            with progress.step(f"{name} under load"):
                found[name] = measure(neighbour, target, droplet, ship, runs, progress.note)
    return found
