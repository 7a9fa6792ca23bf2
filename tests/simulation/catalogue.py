"""Images that stories ship: each knows the first so many of the same migrations, and may misbehave."""

from dataclasses import dataclass

from tests.simulation.images import BEHAVIOURS, LABELS, MIGRATIONS, WORKER, Change, Image

HISTORY = (
    Change("0001"),
    Change("0002"),
    Change("0003", breaks=True, breaking=True, transactional=False),
    Change("0004", loses="all likes"),
    Change("0005", reversible=False),
)


@dataclass(frozen=True)
class Variant:
    """A version; ``level``: how many of the migrations it knows."""

    level: int
    behaviour: str = "good"
    migration: str = "good"
    worker: bool = True

    @property
    def version(self) -> str:
        name = f"{self.level}.{int(self.worker)}"
        bad = [word for word in (self.behaviour, self.migration) if word != "good"]
        return "-".join([name, *bad])

    @property
    def good(self) -> bool:
        return self.behaviour == self.migration == "good"

    def image(self) -> Image:
        number = (
            ((self.level * 10 + BEHAVIOURS.index(self.behaviour)) * 10 + MIGRATIONS.index(self.migration))
            * 10
        ) + self.worker
        labels = LABELS | WORKER if self.worker else LABELS
        return Image(
            f"sha256:{number:064d}",
            HISTORY[: self.level],
            labels,
            behaviour=self.behaviour,
            migration=self.migration,
        )
