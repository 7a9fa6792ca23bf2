"""What tests found, a file for each part: a part that is run again by itself renews its own rows and no others.

A part is a file of tests/soak, one of the directories that guard a change, or something of bench. docs/evidence.md is
made of these files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support import measured

SOAK = "tests/soak"
GUARDS = ("tests/functional", "tests/droplet")


@dataclass(frozen=True)
class Part:
    """What ran together, as a whole.

    Args:
        place: what of the checkout was run, for example tests/soak/test_kill.py or tests/droplet.
        date: when it ended.
        commit: what was tested.
        machine: where.
        passed: names of the tests that did, below ``place``.
        failed: names of those that did not.
        seconds: how long its tests took, without what they share with others.
        measured: what they measured: test, words.
        series: what they measured that is drawn: name -> points.
        digest: of all the others, so that whoever edits a result by hand is found out.
    """

    place: str
    date: str
    commit: str
    machine: str
    passed: Sequence[str]
    failed: Sequence[str]
    seconds: float
    measured: Sequence[Sequence[str]] = field(default=())
    series: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    digest: str = ""

    def sealed(self) -> Part:
        """The same with its digest."""
        return replace(self, digest=self._digest())

    @property
    def untouched(self) -> bool:
        """Whether it is as the run wrote it."""
        return self.digest == self._digest()

    @property
    def name(self) -> str:
        """Its short name."""
        return Path(self.place).stem.removeprefix("test_")

    def _digest(self) -> str:
        facts = {name: value for name, value in asdict(self).items() if name != "digest"}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass
class Tally:
    """What a run has seen of one part so far."""

    outcomes: dict[str, bool] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    series: dict[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, test: str, passed: bool, seconds: float, notes: Iterable[str] = ()) -> None:
        """A test's call, or a setup or teardown that failed."""
        self.outcomes[test] = self.outcomes.get(test, True) and passed
        self.notes += [(test, words) for words in notes]
        self.seconds += seconds

    def part(self, place: str) -> Part:
        """As it is written down. A test has passed that did, and could clean up."""

        def named(test: str) -> str:
            return test.removeprefix(place).lstrip("/:")

        return Part(
            place,
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            measured.commit(),
            measured.machine(),
            sorted(named(test) for test, passed in self.outcomes.items() if passed),
            sorted(named(test) for test, passed in self.outcomes.items() if not passed),
            round(self.seconds, 1),
            [[named(test), words] for test, words in self.notes],
            self.series,
        ).sealed()


def place_of(nodeid: str) -> str | None:
    """The part that a test belongs to; None for tests whose results nobody keeps."""
    path = nodeid.partition("::")[0]
    if path.startswith(f"{SOAK}/"):
        return path
    return next((place for place in GUARDS if path.startswith(f"{place}/")), None)


def keep(tallies: Mapping[str, Tally]) -> None:
    """Write down parts that ran as a whole (place -> what was seen of it), and the document of all soaks."""
    for place, tally in tallies.items():
        part = tally.part(place)
        path = _file(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(part), indent=1) + "\n")
    if any(place.startswith(SOAK) for place in tallies):
        measured.write("soak.md", document(read_all("soak")))


def _file(place: str) -> Path:
    kind = "bench" if place.startswith("bench/") else "soak" if place.startswith(SOAK) else "guard"
    return measured.DIRECTORY / kind / f"{Path(place).stem.removeprefix('test_')}.json"


def read(path: Path) -> Part:
    """A part as it was written down."""
    facts: dict[str, Any] = json.loads(path.read_text())
    return Part(**facts)


def read_all(kind: str = "*") -> list[Part]:
    """All parts of a kind, ``soak`` or ``guard``."""
    return [read(path) for path in sorted(measured.DIRECTORY.glob(f"{kind}/*.json"))]


def document(parts: Sequence[Part]) -> str:
    """The soak's parts for people."""
    seconds = sum(part.seconds for part in parts)
    rows = [
        (
            part.name, len(part.passed), len(part.failed), f"{part.seconds / 60:.1f}", part.date, part.commit,
        )
        for part in parts
    ]  # fmt: skip
    failed = [f"{part.name}: {test}" for part in parts for test in part.failed]
    blocks = [
        "# Soak",
        f"Generated by `make soak`: {seconds / 60:.0f} minutes of tests. Don't edit it: run that again, or one file of "
        "tests/soak, which renews its own rows.",
        "Machine: "
        + "; ".join(sorted({part.machine for part in parts}))
        + ". The droplets are local: containers, Debian "
        "13, 4 GB, 2 CPUs, with the load generator beside them on the same machine.",
        measured.table(("part", "passed", "failed", "minutes", "date", "commit"), rows),
        *([f"Failed: {', '.join(failed)}"] if failed else []),
        measured.table(("part", "test", "measured"), [(p.name, *note) for p in parts for note in p.measured]),
    ]
    return "\n\n".join(blocks) + "\n"
