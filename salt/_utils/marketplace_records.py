"""What a release leaves behind: its record, its steps, its sortable id. Pure data, no effects."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

OUTCOMES = ("live", "failed", "rolled_back", "refused", "unchanged")
COLOURS = ("blue", "green")


def other_colour(colour: str) -> str:
    """The colour that is idle while ``colour`` is live; the first release of all starts blue."""
    return "green" if colour == "blue" else "blue"


def release_id(now: datetime, taken: Sequence[str] = ()) -> str:
    """A sortable id: UTC time to the second, with a running letter where that second is taken.

    Args:
        now: an aware time.
        taken: ids already in use.
    """
    stem = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    candidates = [stem, *(f"{stem}-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
    return next(candidate for candidate in candidates if candidate not in taken)


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
        """The record in a ledger file.

        Raises:
            KeyError, TypeError: a key is missing or unknown.
        """
        fields = dict(document)
        fields["steps"] = tuple(StepRecord(**step) for step in fields["steps"])
        return cls(**fields)


def digest_of(document: Mapping[str, Any]) -> str:
    """The digest by which the next record vouches for this one."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
