"""The simulated effects, on a simulated droplet that serves."""

import json
from collections.abc import Sequence

from tests.contract.effects import ONE_OFF, PROBE, PROJECT, Effects
from tests.simulation.containers import Container
from tests.simulation.droplet import Droplet, simulated
from tests.simulation.images import DIGEST_1, DIGEST_2, REPOSITORY, Image
from tests.simulation.lock import SimLock
from tests.simulation.operations import run, shipping
from tests.simulation.outside import PUBLIC_PORT
from tests.simulation.stage import Killed

SCRIPTS = {"prints": (0, "out\n", "err\n"), "fails": (3, "", "err\n"), "hangs": None, "missing": None}


def effects() -> Effects:
    """The effects of a droplet on which 1.0.0 is live, and which has no users for the moment."""
    droplet = simulated()
    droplet.push("1.0.0", Image(DIGEST_1))
    droplet.push("exits", Image(DIGEST_2, behaviour="exits"))
    record = run(droplet, shipping(droplet, "1.0.0")).record
    droplet.docker.pull(f"{REPOSITORY}:exits")
    droplet.users.away = True
    assert droplet.clock.wait_until(lambda: not droplet.users.open, timeout=10)
    for name, said in SCRIPTS.items():
        droplet.docker.scripts[(name,)] = said
    droplet.host.commands |= {"/bin/true": 0, "/bin/false": 1, "/bin/sleep": "hangs"}
    place = droplet.paths.state / "contract"
    droplet.disk.provide(place)
    content = droplet.database.databases

    def change() -> None:
        content["marketplace"].handled.add(-1)

    return Effects(
        world=droplet.world,
        place=place,
        lock=droplet.world.lock,
        settings=droplet.settings,
        image=record.image,
        compose=lambda kind: _compose(kind, record.image),
        one_off=lambda kind: _one_off(kind, record.image),
        leave_stray=lambda: _stray(droplet),
        change_database=change,
        database_changed=lambda: -1 in content["marketplace"].handled,
        dies_holding=lambda lock: _dies_holding(droplet, lock),
        post=lambda: droplet.world.probe.get(
            "127.0.0.1", PUBLIC_PORT, droplet.settings["edge"]["webhook_path"], tls=True
        )[0],
    )


def _compose(kind: str, image: str) -> str:
    images = {"exits": f"{REPOSITORY}:exits", "missing": f"{REPOSITORY}:nonsense"}
    service = {
        "image": images.get(kind, image),
        "container_name": PROBE,
        "restart": "on-failure" if kind == "exits" else "unless-stopped",
        "labels": {"marketplace.release": "another" if kind == "another" else "contract"},
    }
    return json.dumps({"name": PROJECT, "services": {"probe": service}})


def _one_off(kind: str, image: str) -> Sequence[str]:
    image = f"{REPOSITORY}:nonsense" if kind == "missing" else image
    return [f"--name={ONE_OFF}", f"--entrypoint={kind}", image]


def _stray(droplet: Droplet) -> str:
    there = droplet.docker.there[PROBE]
    stray = f"0123456789ab_{PROBE}"
    droplet.docker.there[stray] = Container(stray, there.image, there.reference, there.labels, there.project)
    return stray


def _dies_holding(droplet: Droplet, lock: object) -> None:
    assert isinstance(lock, SimLock)
    try:
        with lock.held("alice", "release of 1"):
            raise Killed
    except Killed:
        return
