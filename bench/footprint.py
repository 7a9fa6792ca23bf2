"""What a droplet has for itself: the time until it is there first, memory, and time by the number of states."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from tests.droplet.conftest import prepared
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.errors import DropletError
from tests.support.droplet.progress import Progress
from tests.support.droplet.site import Site

MEMORY = Path(__file__).with_name("on_droplet_memory.py")
DOCKER = ("docker.service", "containerd.service")
STATES = (100, 200, 400)
ROOT = "/root/scale"


@dataclass(frozen=True)
class Footprint:
    """Seconds of first runs; MB by unit, outside of containers; number of states -> seconds of a run of nothing."""

    first: list[float]
    memory: Mapping[str, float]
    states: Mapping[int, float]

    @property
    def own(self) -> float:
        """MB of everything but containers and the engine."""
        return sum(memory for unit, memory in self.memory.items() if unit not in DOCKER)


def measure(site: Site, droplet: Droplet, runs: int, progress: Progress) -> Footprint:
    """Look at a converged droplet, and converge others."""
    found = json.loads(droplet.run(["python3", "-"], stdin=MEMORY.read_bytes()).stdout)
    memory = {unit: kilobytes / 1024 for unit, kilobytes in found.items()}
    if not {"docker.service", "marketplace-watch.service"} <= memory.keys():
        raise DropletError(f"what runs is not among what was measured: {sorted(memory)}")
    states = {count: _states(droplet, count, runs) for count in STATES}
    progress.note(f"states: {states}")
    first = []
    for number in range(min(runs, 3)):
        role, images = f"first{number}", site.images()
        local = pillar.local(site, images)
        # A bot and a name of its own: two droplets must not take each other's webhook.
        local["secrets"]["telegram_token"] = {"value": f"700000001{number}:{'f' * 35}"}
        bare = prepared(site, images, role, local | {"edge": {"domains": [f"{role}.test"]}})
        try:
            begun = time.monotonic()
            bare.run(["/srv/deploy/bootstrap.sh", "development"])
            first.append(time.monotonic() - begun)
            progress.note(f"first converge: {first[-1]:.0f} s")
        finally:
            bare.destroy()
    return Footprint(first, memory, states)


def _states(droplet: Droplet, count: int, runs: int) -> float:
    """Seconds of a run with so many files that are as they should be."""
    files = {
        f"Ensure file {number} is there": {
            "file.managed": [{"name": f"{ROOT}/files/{number}"}, {"contents": f"line of {number}"}, {"makedirs": True}]
        }
        for number in range(count)
    }  # fmt: skip
    droplet.put(f"{ROOT}/tree/scale{count}.sls", yaml.safe_dump(files))
    apply = [
        "salt-call",
        "--local",
        f"--file-root={ROOT}/tree",
        "state.apply",
        f"scale{count}",
        "--out=quiet",
    ]
    droplet.run(apply)
    return median(droplet.run(apply).seconds for _ in range(runs))
