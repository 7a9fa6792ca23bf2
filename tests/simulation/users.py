"""Users, who send updates all the time. What happens to each is kept, and whether a fault explains it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.application import Application
from tests.simulation.containers import Container
from tests.simulation.docker import SimDocker
from tests.simulation.edge import SimEdge

# At how many gates an update is on its way at least, and at every how many a new one begins.
TAKES, EVERY = 3, 2
# Every so many takes this many seconds.
SLOW_ONE, SLOW = 7, 4.0


@dataclass(frozen=True)
class Lost:
    """An update that was not answered with 200. Telegram repeats it; it is a failure all the same."""

    update: int
    why: str
    explained: bool


@dataclass(eq=False)
class Open:
    """An update on its way."""

    update: int
    colour: str
    container: Container
    began: float
    until: float
    age: int = 0


@dataclass
class Users:
    """What users did and saw.

    Attributes:
        committed: updates that were answered with 200; lost: those that were not.
        kept: how many were asked to come again later; away: whether there are no new ones.
        was_live: whether a release ever was, so that nobody may be without an answer any more.
    """

    edge: SimEdge
    docker: SimDocker
    app: Application
    committed: set[int] = field(default_factory=set)
    lost: list[Lost] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    kept: int = 0
    away: bool = False
    was_live: Callable[[], bool] = lambda: True
    _gates: int = 0
    _newest: int = 0

    def busy(self, colour: str) -> int:
        return sum(one.colour == colour for one in self.open)

    def tick(self) -> None:
        """What users see at this gate."""
        for one in list(self.open):
            one.age += 1
            there = self.docker.there.get(f"backend-{one.colour}") is one.container
            if not there or not one.container.running or one.container.started_at > one.began:
                self._end(one, f"{one.container.name} ended under it", self._explains(one.container))
            elif one.age >= TAKES and self.app.clock.seconds >= one.until:
                self._answered(one)
        self._gates += 1
        if self._gates % EVERY == 0 and not self.away:
            self._begin()

    def cut_off(self) -> None:
        """The droplet is gone, and whatever was on its way with it."""
        for one in list(self.open):
            self._end(one, "the droplet went down", explained=True)

    def unexplained(self) -> list[Lost]:
        return [lost for lost in self.lost if not lost.explained]

    def _begin(self) -> None:
        if self.edge.closed:
            self.kept += 1
            return
        colour = self.edge.runtime
        if colour == "none":
            if self.was_live():
                self._lose("nothing is live any more", explained=False)
            return
        self._newest += 1
        container = self.docker.there.get(f"backend-{colour}")
        if container is None or not self.app.accepts(container):
            name = f"backend-{colour} ({container.status if container else 'missing'})"
            hurt = f"backend-{colour}" in self.docker.hurt
            self._lose(
                f"{name} takes no connection", hurt or (container is not None and self._explains(container))
            )
            return
        now = self.app.clock.seconds
        until = now + (SLOW if self._newest % SLOW_ONE == 0 else 0)
        self.open.append(Open(self._newest, colour, container, now, until))

    def _answered(self, one: Open) -> None:
        if self.app.handles(one.container, one.update):
            self.committed.add(one.update)
            self.open.remove(one)
            self.edge.count(one.colour, one.began, 200)
            self.docker.hurt.discard(one.container.name)
            return
        self.edge.count(one.colour, one.began, 500)
        self.open.remove(one)
        self._lose(f"{one.container.name} answered 500", self._explains(one.container))

    def _end(self, one: Open, why: str, explained: bool) -> None:
        self.open.remove(one)
        self.edge.count(one.colour, one.began, 502)
        self.lost.append(Lost(one.update, why, explained))

    def _lose(self, why: str, explained: bool) -> None:
        self.lost.append(Lost(self._newest, why, explained))

    def _explains(self, container: Container) -> bool:
        """Whether what users see of it is no fault of the engine: a bad image, a lying plan, a crash."""
        applied = self.app.database.content.applied
        lied = any(change.breaks and not change.breaking for change in applied)
        unwell = container.name in self.docker.hurt or container.image.behaviour != "good"
        return unwell or lied or not self.app.database.answers
