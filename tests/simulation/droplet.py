"""The whole simulated droplet: the engine's world, the users, and what can happen to it."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketplace_journal import Journal
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import COLOURS
from marketplace_spool import Spool
from marketplace_world import World

from tests.simulation.application import Application
from tests.simulation.clock import SimClock
from tests.simulation.containers import Container
from tests.simulation.database import SimDatabase
from tests.simulation.disk import SimDisk
from tests.simulation.docker import SimDocker
from tests.simulation.edge import SimEdge
from tests.simulation.gate import Fault, Gate
from tests.simulation.images import Image
from tests.simulation.lock import SimLock
from tests.simulation.outside import SimDumps, SimHost, SimProbe, SimTelegram
from tests.simulation.settings import settings
from tests.simulation.stage import Stage
from tests.simulation.users import Users

# Nothing is there on the disk of the machine that runs the tests.
NOWHERE = Path("/nonexistent-droplet")
BOOTS = 20.0
JOB = "job-tidy"


class Broken(AssertionError):
    """Something was seen that must never be."""


class Droplet:
    """A droplet that was converged and where nothing was released yet."""

    def __init__(self, root: Path = NOWHERE) -> None:
        self.settings = settings()
        self.stage = Stage()
        self.clock = SimClock(self.stage, self._look)
        self.gate = Gate(self.stage, self._tick, self._happens, self._wait)
        self.paths = paths = Paths(root)
        self.disk = SimDisk(self.gate, paths.state, paths.run)
        self.disk.place(paths.live_map, "live none\n")
        self.disk.place(paths.maintenance_map, "operator off\nrelease off\n")
        self.database = SimDatabase(self.gate, self.clock, self.settings["postgres"]["database"])
        self.dumps = SimDumps(self.gate, self.database)
        self.docker = SimDocker(self.gate, self.clock, self.disk, self.database)
        self.app = Application(self.clock, self.database)
        self.edge = SimEdge(paths, self.gate, self.clock, self.disk, self.docker, self.app)
        self.users = Users(self.edge, self.docker, self.app)
        self.users.was_live = self._was_live
        self.edge.busy = self.users.busy
        self.edge.told = self._map_is_set
        self.docker.started = self._container_started
        self.telegram = SimTelegram(self.gate, self.settings["telegram"]["api_url"])
        self.host = SimHost(self.gate)
        self.host.heard = self._reached
        self._warm: set[str] = set()
        # Releases that users were routed to while they were ready, and what was seen that must never be.
        self.served: set[str] = set()
        self.broken: list[str] = []
        self.going_down = False
        self.happenings: dict[str, Callable[[random.Random], None]] = {
            "power": self.power_fails,
            "crash": self._live_crashes,
            "haproxy": lambda chance: self.edge.restart(),
            "clock": self._clock_jumps,
            "withdraw": self._withdraw,
            "job": self._job_is_due,
            "reboot": self._goes_down,
        }
        self.world = World(
            paths=paths,
            disk=self.disk,
            lock=SimLock(paths.lock, self.gate, self.clock),
            jobs_lock=SimLock(paths.jobs_lock, self.gate, self.clock),
            docker=self.docker,
            edge=self.edge,
            database=self.database,
            dumps=self.dumps,
            telegram=self.telegram,
            host=self.host,
            ledger=Ledger(paths.ledger, self.disk),
            journal=Journal(paths.journal, self.disk),
            spool=Spool(paths.spool, self.disk),
            probe=SimProbe(self.gate, self.docker, self.edge, self.app),
            clock=self.clock,
        )
        for name in ("postgres", "redis"):
            data = Container(name, Image(f"sha256:{name:0>64}"), name, {}, "data", "unless-stopped")
            data.status = "running"
            self.docker.there[name] = data

    def push(self, version: str, image: Image) -> None:
        """Put an image into the registry."""
        self.docker.push(version, image)

    @property
    def live(self) -> str | None:
        """The live colour by the file, at no gate."""
        text = self.disk.content(self.paths.live_map) or ""
        colour = text.removeprefix("live ").strip()
        return colour if colour in COLOURS else None

    @property
    def running(self) -> set[str]:
        """Names of the containers that run, but for the data services."""
        return self.docker.running - {"postgres", "redis"}

    def state(self) -> dict[str, Any]:
        """All that lasts: two equal states are the same droplet."""
        return {
            "files": {name: text for name, text in self.disk.files().items() if "/." not in name},
            "maps": {file: dict(found) for file, found in self.edge.maps.items()},
            "containers": {
                name: (one.image.id, one.status, tuple(sorted(one.labels.items())))
                for name, one in self.docker.there.items()
            },
            "images": {name: image.id for name, image in self.docker.names.items()},
            "databases": {name: content.heads for name, content in self.database.databases.items()},
        }

    # What can happen.

    def power_fails(self, chance: random.Random) -> None:
        """The power is gone, and comes back: every process ends, and the disk forgets what was not synced."""
        self.stage.kill_all()
        self.users.cut_off()
        self.disk.lose(chance)
        self.clock.seconds += BOOTS
        self.docker.power_fails()
        self.edge.restart()
        self.world.lock.owner = None  # type: ignore[attr-defined]
        self.world.jobs_lock.owner = None  # type: ignore[attr-defined]

    def _goes_down(self, chance: random.Random) -> None:
        """Somebody has the droplet reboot: first the release's process is told to end."""
        self.going_down = True

    def process_ended(self) -> None:
        """What waited for the process under test."""
        if self.going_down:
            self.going_down = False
            self.disk.sync_all()
            self.power_fails(random.Random(0))  # noqa: S311

    def _live_crashes(self, chance: random.Random) -> None:
        self.docker.crash(f"backend-{self.edge.runtime}")

    def _withdraw(self, chance: random.Random) -> None:
        """Somebody asks for what is on its way to be taken back."""
        entry = json.loads(self.disk.content(self.world.journal.file) or "{}")
        if entry:
            asked = {"release": entry["run"]["release"], "by": "bob"}
            self.disk.place(self.world.journal.withdrawal, json.dumps(asked))

    def _job_is_due(self, chance: random.Random) -> None:
        """Cron starts the live release's job, as the engine's look at the schedule does; it runs on and on."""
        live = self.docker.there.get(f"backend-{self.live}")
        if live is None or not live.running or JOB in self.docker.there or self.edge.closed:
            return
        labels = {**live.labels, "marketplace.job": "tidy", "marketplace.job.timeout": "600"}
        job = Container(JOB, live.image, live.reference, labels, live.project, status="running")
        job.started_at = self.clock.seconds
        self.docker.there[JOB] = job

    def _clock_jumps(self, chance: random.Random) -> None:
        self.clock.skew += chance.choice((-7200.0, -1.0, 3600.0))

    def _happens(self, fault: Fault) -> None:
        self.happenings[fault.kind](random.Random(fault.seed))  # noqa: S311

    # What is watched at every gate.

    def _look(self) -> None:
        self.gate.look("clock wait")

    def _wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    def _tick(self) -> None:
        self.clock.seconds += 0.01
        self.docker.tick()
        self.users.tick()
        live = self.docker.there.get(f"backend-{self.edge.runtime}")
        if live is not None and live.release not in self.served and self.app.ready(live):
            self.served.add(live.release)

    def _was_live(self) -> bool:
        ledger = f"{self.paths.ledger}/"
        files = self.disk.files()
        return any(name.startswith(ledger) and '"outcome": "live"' in files[name] for name in files)

    def _map_is_set(self, file: str, key: str, value: str) -> None:
        """HAProxy routes nowhere that it would have forgotten after a restart."""
        if file == str(self.paths.live_map) and self.disk.kept(self.paths.live_map) != f"live {value}\n":
            self.saw(f"HAProxy is told {key} {value}, which the file does not say for certain")

    def _reached(self, place: str) -> None:
        """What served before a switch stays there until nothing can go back any more."""
        backends = {name for name in self.docker.running if name.startswith("backend-")}
        if place == "preflight:start":
            self._warm = set()
        elif place in ("restore-point:start", "downgrade:end") and JOB in self.docker.running:
            job, live = self.docker.there[JOB], self.docker.there.get(f"backend-{self.live}")
            if self.edge.closed or live is None or job.release != live.release:
                self.saw(f"a job of release {job.release} runs at {place}")
        elif place == "switch:start" and not self.edge.closed:
            self._warm = backends
        elif place == "soak:end" and (gone := self._warm - backends - self.docker.hurt):
            self.saw(f"{sorted(gone)} is gone before the soak is over")

    def _container_started(self, container: Container) -> None:
        if not container.name.startswith("worker-"):
            return
        workers = [name for name in self.docker.running if name.startswith("worker-")]
        if len(workers) > 1:
            self.saw(f"{' and '.join(sorted(workers))} run at once")
        if container.release not in self.served:
            self.saw(f"{container.name} of release {container.release} starts before that was ever live")

    def saw(self, words: str) -> None:
        """Keep what must never be."""
        self.broken.append(words)


def simulated(root: Path = NOWHERE) -> Droplet:
    """A droplet that was converged and where nothing was released yet."""
    return Droplet(root)
