"""A release in flight: what was asked, what was found out, how far it is. It is what the journal keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from marketplace_contract import Contract
from marketplace_records import ReleaseRecord, StepRecord
from marketplace_world import World


@dataclass(frozen=True)
class Request:
    """What somebody asks for.

    Args:
        version: tag of ``backend:image``, or "" to take it from ``image``.
        image: a whole reference instead, or "".
        by: who asks; tree: commit of the tree that does it.
    """

    version: str
    image: str
    by: str
    tree: str


@dataclass
class Run:
    """What the steps work with. Steps fill in what they find out."""

    settings: dict[str, Any]
    settings_digest: str
    release: str
    version: str
    reference: str
    colour: str
    live_colour: str | None
    previous: ReleaseRecord | None
    image: str = ""
    contract: Contract | None = None
    schema: dict[str, list[str] | None] = field(default_factory=lambda: {"before": None, "after": None})

    @property
    def declared(self) -> Contract:
        if self.contract is None:
            raise RuntimeError("the image's contract was not read: the pull step has to come first")
        return self.contract

    @property
    def stop_grace(self) -> int:
        return int(self.settings["backend"]["stop_grace"]) + 5

    def directory(self, world: World) -> Path:
        return world.paths.releases / self.release


@dataclass
class Flight:
    """The journal's entry. ``phase`` is ``do`` or, once something failed, ``undo``."""

    run: Run
    request: Request
    started: str
    step: str
    phase: str = "do"
    outcome: str = ""
    reason: str = ""
    steps: list[StepRecord] = field(default_factory=list)

    def note(self, name: str, seconds: float, outcome: str, detail: str) -> None:
        """Keep how a step went; a second note of the same step replaces the first."""
        self.steps = [step for step in self.steps if step.name != name]
        self.steps.append(StepRecord(name, round(seconds, 3), outcome, detail))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the journal."""
        document = asdict(self)
        document["run"]["previous"] = self.run.previous.to_dict() if self.run.previous else None
        document["run"]["contract"] = self.run.contract.to_dict() if self.run.contract else None
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Flight":
        """The flight in a journal's entry; raises KeyError or TypeError for something else."""
        run = dict(document["run"])
        run["previous"] = ReleaseRecord.from_dict(run["previous"]) if run["previous"] else None
        run["contract"] = Contract.from_dict(run["contract"]) if run["contract"] else None
        fields = dict(document)
        fields["run"] = Run(**run)
        fields["request"] = Request(**document["request"])
        fields["steps"] = [StepRecord(**step) for step in document["steps"]]
        return cls(**fields)
