"""Thirty days, simulated: how much of them the bot is reached, with recovery times that were measured. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.measured import table
from tests.support.results import Part

SECONDS = 30 * 86_400
MONTHS = 10_000
GOAL = 0.995


@dataclass(frozen=True)
class Fault:
    """Something that takes the bot away for a while.

    Args:
        name: in words.
        rate: how often in 30 days; assumed, and more often than one would like.
        test: part of the names of the tests that measured how long it takes to be back.
        pattern: finds the time in their words; its group is a number.
        unit: seconds of that number's unit.
        before: seconds until somebody does something about it, where it does not mend itself; assumed.
    """

    name: str
    rate: float
    test: str
    pattern: str
    unit: float = 1.0
    before: float = 0.0


FAULTS = (
    Fault("the backend, PostgreSQL or Redis crashes", 30, "test_killed_service", r"healthy ([0-9.]+) s after SIGKILL"),
    Fault("the edge crashes", 10, "edge", r"^killed edge: well again after ([0-9.]+) s"),
    Fault("a service hangs", 8, "hung", r"well again after ([0-9.]+) s"),
    Fault("a reboot", 4, "test_reboot_under_load", r"healthy ([0-9.]+) s after the reboot"),
    Fault("a minor version of PostgreSQL or Redis", 2, "test_there_and_back_again", r"longest gap (\d+) ms", 0.001),
    Fault("the droplet is lost", 0.05, "gigabytes", r"^5 GB on a bare host.*: (\d+) s", before=3600),
)  # fmt: skip


@dataclass(frozen=True)
class Month:
    """What came of the simulation.

    Args:
        times: fault -> how long it was measured to take, seconds.
        missing: faults for which nothing was measured.
        median, worst: availability of the median month, and of the worst in a hundred; 0..1.
    """

    times: Mapping[str, Sequence[float]]
    missing: Sequence[str]
    median: float = 0.0
    worst: float = 0.0

    @property
    def reasons(self) -> list[str]:
        """Why it does not show that the goal is met; none: it does."""
        if self.missing:
            return [f"not measured: {', '.join(self.missing)}"]
        return [] if self.worst >= GOAL else [f"one month of a hundred has {self.worst:.3%}"]


def simulate(parts: Iterable[Part], faults: Sequence[Fault] = FAULTS, months: int = MONTHS) -> Month:
    """Months in which faults come at random, each taking as long as it once did when it was measured."""
    known = list(parts)
    times = {fault.name: _measured(fault, known) for fault in faults}
    missing = [name for name, found in times.items() if not found]
    if missing:
        return Month(times, missing)
    source = random.Random(20260101)  # noqa: S311 - the same months every time
    lost = sorted(
        sum(
            fault.before + source.choice(times[fault.name])
            for fault in faults
            for _ in range(_poisson(source, fault.rate))
        )
        for _ in range(months)
    )
    share = [1 - min(seconds, SECONDS) / SECONDS for seconds in lost]
    return Month(times, [], share[months // 2], share[months * 99 // 100])


def _measured(fault: Fault, parts: Iterable[Part]) -> list[float]:
    return [
        float(match[1]) * fault.unit
        for part in parts
        for test, words in part.measured
        if fault.test in test and (match := re.search(fault.pattern, words))
    ]


def _poisson(source: random.Random, rate: float) -> int:
    """How often something happens that does so ``rate`` times on average."""
    count, passed = 0, source.expovariate(rate)
    while passed < 1:
        count += 1
        passed += source.expovariate(rate)
    return count


def document(month: Month, faults: Sequence[Fault] = FAULTS) -> str:
    """For people."""
    rows = [
        (
            fault.name, f"{fault.rate:g}", f"{fault.before / 60:g} min" if fault.before else "",
            ", ".join(f"{seconds:.1f}" for seconds in month.times[fault.name]) or "not measured",
        )
        for fault in faults
    ]  # fmt: skip
    found = (
        f"The median month has **{month.median:.3%}**, the worst of a hundred {month.worst:.3%} (goal: {GOAL:.1%})."
        if not month.missing
        else f"Not simulated: nothing was measured for {', '.join(month.missing)}."
    )
    return "\n\n".join(
        [
            "## Thirty days, simulated",
            f"Nobody waited thirty days. These are {MONTHS:,} months of a model: faults come at random, as often as "
            "assumed below, one after the other, each as long as one of the times that were measured. Releases and "
            "rollbacks take nothing: no request failed in them. What the provider's own network and power take is not "
            "in it.",
            table(
                (
                    "fault",
                    "in 30 days (assumed)",
                    "until somebody comes (assumed)",
                    "s until well again (measured)",
                ),
                rows,
            ),
            found,
        ]
    )
