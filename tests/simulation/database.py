"""PostgreSQL in memory: databases with a schema and with the updates that were handled."""

from dataclasses import dataclass, field

from marketplace_database import PREFIX, Database, DatabaseError

from tests.simulation.clock import SimClock
from tests.simulation.gate import Gate
from tests.simulation.images import Change


@dataclass
class Content:
    """A database: migrations that were applied, oldest first, updates that were handled, and what broke half way."""

    applied: list[Change] = field(default_factory=list)
    handled: set[int] = field(default_factory=set)
    half: bool = False

    def copy(self) -> "Content":
        return Content(list(self.applied), set(self.handled), self.half)

    @property
    def heads(self) -> list[str]:
        return [self.applied[-1].revision] if self.applied else []


class SimDatabase(Database):
    """The server: its databases by name."""

    def __init__(self, gate: Gate, clock: SimClock, name: str) -> None:
        self.gate = gate
        self.clock = clock
        self.name = name
        self.databases: dict[str, Content] = {name: Content()}
        self.answers = True

    @property
    def content(self) -> Content:
        """The application's database."""
        return self.databases[self.name]

    def _look(self, what: str, timeout: float = 60) -> None:
        self.gate.look(f"database {what}", DatabaseError, timeout)
        if not self.answers:
            raise DatabaseError("PostgreSQL cannot be asked: it does not answer")

    def check(self, database: str) -> None:
        self._look("check", 15)

    def size(self, database: str) -> int:
        self._look("size")
        return 10 << 20

    def heads(self, database: str) -> list[str]:
        self._look("heads")
        return self.databases[database].heads

    def points(self) -> list[str]:
        self._look("points")
        return sorted(name for name in self.databases if name.startswith(PREFIX))

    def make_point(self, database: str, point: str, timeout: float) -> None:
        self.drop_point(point)
        self._look("end sessions")
        with self.gate.act("database copy", DatabaseError, timeout):
            self.clock.seconds += 1
            self.databases[point] = self.databases[database].copy()
        self._look("grant")

    def prove_point(self, database: str, point: str, timeout: float) -> str:
        self._look("count", timeout)
        if point not in self.databases:
            raise DatabaseError(f'PostgreSQL: database "{point}" does not exist')
        if self.databases[point] != self.databases[database]:
            raise DatabaseError(f"restore point {point} is not what {database} is")
        return "tables counted in both"

    def use_point(self, database: str, point: str) -> None:
        if point in self.points():
            with self.gate.act("database swap", DatabaseError):
                self.databases[f"spoiled_{point}"] = self.databases[database]
                self.databases[database] = self.databases.pop(point)
        self.drop_point(f"spoiled_{point}")

    def drop_point(self, point: str) -> None:
        with self.gate.act("database drop", DatabaseError):
            if not self.answers:
                raise DatabaseError("PostgreSQL cannot be asked: it does not answer")
            if point == self.name:
                raise AssertionError("somebody drops the application's database")
            self.databases.pop(point, None)
