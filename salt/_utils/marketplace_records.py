"""What a release leaves behind: its record, its steps, its sortable id. Pure data, no effects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

COLOURS = ("blue", "green")
# deploy.resume mends a live map that was lost; a release without a version is refused where the ledger has another one.
NOTHING_LIVE = "nothing is live; do: salt-call deploy.resume, or deploy.release where nothing ever was"


def other_colour(colour: str) -> str:
    """The colour that is idle while ``colour`` is live; the first release of all starts blue."""
    return "green" if colour == "blue" else "blue"


def release_id(now: datetime, newest: str = "") -> str:
    """A sortable id: UTC time to the second, made larger than ``newest`` where the clock is not ahead of it.

    Args:
        now: an aware time.
        newest: the ledger's newest id: order is the ledger's, whatever the clock says.
    """
    stem = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    if stem > newest:
        return stem
    head, _, letters = newest.partition("-")
    last = letters[-1:] or "`"  # the character before "a"
    return f"{head}-{letters[:-1]}{chr(ord(last) + 1)}" if last < "z" else f"{newest}a"


@dataclass(frozen=True)
class StepRecord:
    """One step of a release as it went: ``outcome`` is ``done``, ``failed`` or ``undone``."""

    name: str
    seconds: float
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class ReleaseRecord:
    """One line of the ledger. Keys are a public interface (``--out=json``) and never change their meaning."""

    release: str
    version: str
    image: str
    previous: str | None
    outcome: str
    reason: str
    colour: str
    schema: Mapping[str, Sequence[str] | None]
    by: str
    tree: str
    started: str
    seconds: float
    settings_digest: str
    steps: Sequence[StepRecord] = field(default_factory=tuple)
    chain: str = ""
    kind: str = "release"
    target: str | None = None
    cutover: Mapping[str, Any] | None = None

    @property
    def origin(self) -> str:
        """The release whose version, image and settings these are: of a rollback, the one it went back to."""
        return self.target or self.release

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the ledger file and for ``--out=json``."""
        document = asdict(self)
        document["steps"] = [dict(step) for step in document["steps"]]
        document["schema"] = {
            key: None if value is None else list(value) for key, value in self.schema.items()
        }
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "ReleaseRecord":
        """The record in a ledger file; keys that a newer engine added are passed over.

        Raises:
            KeyError, TypeError: a key is missing.
        """
        known = {item.name: document[item.name] for item in fields(cls) if item.name in document}
        known["steps"] = tuple(StepRecord(**step) for step in document["steps"])
        return cls(**known)
