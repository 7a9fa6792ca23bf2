"""A release in flight: what was asked, what was found out, how far it is. It is what the journal keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from marketplace_contract import Contract
from marketplace_migrations import Migration
from marketplace_records import ReleaseRecord, StepRecord
from marketplace_release_compose import serves_here, stop_seconds
from marketplace_world import World

Heads = list[str]
# Of the settings that steps read, those that an older tree's journal does not have.
OLDER_SETTINGS: dict[str, Any] = {
    "soak": 20,
    "soak_errors": 5,
    "hooks": {"before": [], "after": []},
    "hook_timeout": 60,
    "disk_reserve": 0,
    "keep_releases": 5,
}


@dataclass(frozen=True)
class Request:
    """What somebody asks for.

    Args:
        version: tag of ``backend:image``, or "" to take it from ``image``.
        image: a whole reference instead, or "". Neither: ``backend:version``, where no other is live.
        by: who asks; tree: commit of the tree that does it.
        kind: ``release`` or ``rollback``.
        target: of a rollback, the release to go back to; "" for the one before the live one.
        maintenance: updates wait at Telegram while it goes on, which a breaking migration needs.
        force_schema: of a rollback, go back although the schema cannot, or loses something.
        soak: seconds to watch the new colour; None for the setting's.
        wait: seconds to wait for somebody else's release to end.
    """

    version: str
    image: str
    by: str
    tree: str
    kind: str = "release"
    target: str = ""
    maintenance: bool = False
    force_schema: bool = False
    soak: int | None = None
    wait: float = 0.0

    @property
    def words(self) -> str:
        """What is asked for, for people."""
        if self.kind == "rollback":
            return f"rollback to {self.target or 'the release before'}"
        return f"release of {self.version or self.image or 'backend:version'}"

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Request":
        """The request in a ticket or a journal's entry; keys of a newer tree are passed over."""
        return cls(**{item.name: document[item.name] for item in fields(cls) if item.name in document})


@dataclass(frozen=True)
class Tool:
    """An image that knows a schema: what runs its migrations."""

    image: str
    contract: Contract


@dataclass
class Run:
    """What the steps work with. Steps fill in what they find out.

    Attributes:
        origin: the release that a rollback goes back to; None for a release.
        pending: migrations to apply, oldest first, or, going back, to undo, newest first.
        backwards: whether ``pending`` is undone rather than applied; tool: the image that can, where it is another;
            heads: revisions that the schema will be at then.
        point: the restore point that is there and proven, or "".
        switched: when the new colour became live (seconds since 1970), or None.
        live_was_ready: whether the old colour was ready before anything was done to its schema.
        resumed: whether somebody else began it, and was interrupted.
        was_live: whether users may have been let in to a colour that is taken away again.
    """

    settings: dict[str, Any]
    settings_digest: str
    release: str
    version: str
    reference: str
    colour: str
    live_colour: str | None
    previous: ReleaseRecord | None
    request: Request
    origin: ReleaseRecord | None = None
    image: str = ""
    contract: Contract | None = None
    schema: dict[str, Heads | None] = field(default_factory=lambda: {"before": None, "after": None})
    pending: list[Migration] = field(default_factory=list)
    backwards: bool = False
    heads: Heads = field(default_factory=list)
    tool: Tool | None = None
    point: str = ""
    switched: float | None = None
    was_live: bool = False
    live_was_ready: bool = False
    resumed: bool = False

    @property
    def declared(self) -> Contract:
        if self.contract is None:
            raise RuntimeError("the image's contract was not read: the pull step has to come first")
        return self.contract

    @property
    def has_worker(self) -> bool:
        """Whether a worker of this release is to run."""
        return self.declared.worker is not None and serves_here(self.settings)

    @property
    def stop_grace(self) -> int:
        return stop_seconds(self.settings)

    @property
    def maintenance(self) -> bool:
        return self.request.maintenance

    def directory(self, world: World) -> Path:
        return world.paths.releases / self.release


@dataclass
class Flight:
    """The journal's entry. ``phase`` is ``do`` or, once something failed, ``undo``."""

    run: Run
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

    def noted(self, name: str) -> StepRecord | None:
        """How a step went; None while nothing is known."""
        return next((step for step in self.steps if step.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the journal."""
        document = asdict(self)
        run = document["run"]
        for name in ("previous", "origin"):
            record = getattr(self.run, name)
            run[name] = record.to_dict() if record else None
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Flight":
        """The flight in a journal's entry, also one that an older tree wrote.

        Raises:
            KeyError, TypeError: it is something else.
        """
        found = dict(document["run"])
        run = {item.name: found[item.name] for item in fields(Run) if item.name in found}
        for name in ("previous", "origin"):
            run[name] = ReleaseRecord.from_dict(found[name]) if found.get(name) else None
        run["contract"] = Contract.from_dict(found["contract"]) if found["contract"] else None
        run["pending"] = [
            Migration(**{**item, "down": tuple(item["down"])}) for item in found.get("pending", ())
        ]
        tool = found.get("tool")
        run["tool"] = Tool(tool["image"], Contract.from_dict(tool["contract"])) if tool else None
        backend = OLDER_SETTINGS | run["settings"]["backend"]
        run["settings"] = {**run["settings"], "backend": backend}
        run["request"] = Request.from_dict(found.get("request") or document["request"])
        return cls(
            run=Run(**run),
            started=document["started"],
            step=document["step"],
            phase=document["phase"],
            outcome=document["outcome"],
            reason=document["reason"],
            steps=[StepRecord(**step) for step in document["steps"]],
        )
