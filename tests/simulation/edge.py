"""HAProxy in memory: it reads the map files when it starts, and has a runtime of its own from then on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from marketplace_edge import Answered, Edge, EdgeError
from marketplace_paths import Paths
from marketplace_records import COLOURS

from tests.simulation.application import Application
from tests.simulation.clock import SimClock
from tests.simulation.disk import SimDisk
from tests.simulation.docker import SimDocker
from tests.simulation.gate import Gate

# How often HAProxy looks whether a backend is ready.
CHECK = 2.0


class SimEdge(Edge):
    """The real maps on the simulated disk, and a HAProxy that is a few variables.

    Attributes:
        maps: the runtime maps; answers: whether HAProxy does, on its socket.
        busy: requests open to a colour; told: hears of every ``set map`` before it is obeyed.
    """

    def __init__(
        self, paths: Paths, gate: Gate, clock: SimClock, disk: SimDisk, docker: SimDocker, app: Application
    ) -> None:
        super().__init__(paths.live_map, paths.maintenance_map, paths.admin_socket, disk)
        self.gate = gate
        self.clock = clock
        self.files = disk
        self.docker = docker
        self.app = app
        self.answers = True
        self.maps: dict[str, dict[str, str]] = {}
        self.busy: Callable[[str], int] = lambda colour: 0
        self.told: Callable[[str, str, str], None] = lambda file, key, value: None
        self.counted: dict[str, list[int]] = {}
        self.log: list[Answered] = []
        self._checked = 0.0
        self._up: dict[str, bool] = {}
        self._taken = False
        self.restart()

    def restart(self) -> None:
        """HAProxy starts: it reads its maps, and knows nothing else any more."""
        for file in (self.live_map, self.maintenance_map):
            lines = (self.files.content(file) or "").splitlines()
            self.maps[str(file)] = dict(line.split(maxsplit=1) for line in lines)
        self.counted = {colour: [0, 0] for colour in COLOURS}
        self._up = {}
        self._checked = float("-inf")

    @property
    def runtime(self) -> str:
        """The live colour as HAProxy has it, at no gate."""
        return self.maps[str(self.live_map)].get("live", "none")

    @property
    def closed(self) -> bool:
        """Whether updates are kept out, at no gate."""
        return "on" in self.maps[str(self.maintenance_map)].values()

    def count(self, colour: str, began: float, status: int, public: bool = True) -> None:
        """A request is over; the engine's own are not among those of users."""
        self.counted[colour][0] += 1
        self.counted[colour][1] += status >= 500
        if not public:
            return
        now = self.clock.time().timestamp()
        self.log.append(Answered(now, round((self.clock.seconds - began) * 1000), 0, 0, status, colour))

    def answered(self, since: float) -> list[Answered]:
        self.gate.look("edge log", EdgeError)
        return [answer for answer in self.log if answer.end > since]

    @contextmanager
    def alone(self) -> Iterator[None]:
        self.gate.look("lock take")
        while self._taken:
            self.clock.let_pass(0.1)
            self.gate.look("lock look")
        self._taken = True
        try:
            yield
        finally:
            self._taken = False

    def command(self, command: str) -> str:
        words = command.split()
        if words[:2] == ["set", "map"]:
            with self.gate.act("edge set", EdgeError):
                self._must_answer()
                return self._set_map(*words[2:])
        self.gate.look(f"edge {words[0]} {words[1]}", EdgeError)
        self._must_answer()
        if words[:2] == ["show", "map"]:
            rows = self.maps[words[2]].items()
            return "".join(f"0x{number:x} {key} {value}\n" for number, (key, value) in enumerate(rows))
        if words == ["show", "stat"]:
            return self._statistics()
        raise AssertionError(f"unexpected command {command}")

    def _must_answer(self) -> None:
        if not self.answers:
            raise EdgeError("HAProxy does not answer")

    def _set_map(self, file: str, key: str, value: str) -> str:
        if key not in self.maps[file]:
            return "entry not found."
        self.told(file, key, value)
        self.maps[file][key] = value
        return ""

    def _statistics(self) -> str:
        if self.clock.seconds >= self._checked + CHECK:
            self._checked = self.clock.seconds
            self._up = {
                colour: self.app.ready(self.docker.there.get(f"backend-{colour}")) for colour in COLOURS
            }
        rows = ["# pxname,svname,scur,status,hrsp_2xx,hrsp_5xx"]
        for colour in COLOURS:
            answers, errors = self.counted[colour]
            rows.append(f"be_{colour},BACKEND,{self.busy(colour)},UP,{answers - errors},{errors}")
            rows.append(f"check_{colour},BACKEND,0,{'UP' if self._up.get(colour) else 'DOWN'},0,0")
        return "\n".join(rows) + "\n"
