"""The document: tables of medians. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.support.measured import table

from .converge import Durations, Way
from .footprint import DOCKER, Footprint
from .ours import OTHERS, Release, Rollback
from .resources import Resource, counts
from .side_by_side import CLIENTS, RATE, SOAK, Shipping

NOTHING_GOAL, FIRST_GOAL, MEMORY_GOAL = 2.0, 180.0, 150.0
SLOW_MS = 50.0
# Why a state that finds nothing to do takes longer than that.
SLOW = {
    "compose.running": "has docker compose say what its containers should be like",
    "systemd_service.running": "the first of these, which asks systemd for the units of the whole run",
}
OVERHEAD_GOAL, WARM_GOAL, COLD_GOAL, LEDGER_GOAL = 2.0, 3.0, 2.0, 0.10


def overhead(releases: Sequence[Release]) -> str:
    """Where a release's time goes."""
    names = list(dict.fromkeys(name for item in releases for name in item.steps))
    rows = [
        (name, _s(median(item.steps.get(name, 0.0) for item in releases)), "" if name in OTHERS else "yes")
        for name in names
    ]
    between = median(item.caller - sum(item.steps.values()) for item in releases)
    rows.append(("salt-call, the unit, the record: outside of the steps", _s(between), "yes"))
    own = median(item.overhead for item in releases)
    asking = median(item.overhead + item.asking for item in releases)
    return "\n\n".join(
        [
            "## A release's own time",
            f"Seconds of each step, without load, `soak=0`, image pulled before; medians of {len(releases)}.",
            table(("step", "seconds", "engine's own"), rows),
            f"**Engine overhead: {own:.2f} s** (goal: at most {OVERHEAD_GOAL:g} s, {_met(own <= OVERHEAD_GOAL)}): wall "
            "time of the command less pull, migration, the application's start, soak and drain. To the migration "
            "belongs `schema`, in which the image's own tool tells in one-off containers what there is to migrate; "
            f"with that it is {asking:.2f} s.",
        ]
    )


def rollbacks(warm: Sequence[Rollback], cold: Sequence[Rollback]) -> str:
    """From the command to the cut-over."""
    to_warm = median(item.cutover for item in warm)
    to_cold = median(item.cutover for item in cold)
    start = median(item.start for item in cold)
    less = median(item.cutover - item.start for item in cold)
    rows = [
        (
            "warm: while the new version soaks",
            _s(to_warm),
            "0",
            f"{WARM_GOAL:g} s",
            _met(to_warm <= WARM_GOAL),
        ),
        (
            "cold: the old colour was stopped",
            _s(to_cold),
            _s(start),
            f"start + {COLD_GOAL:g} s",
            _met(less <= COLD_GOAL),
        ),
    ]
    return "\n\n".join(
        [
            "## A rollback, to the cut-over",
            f"From the call of `salt-call deploy.rollback` until the live map names the old colour; "
            f"medians of {len(warm)}.",
            table(("rollback", "seconds", "application's start", "goal", "met"), rows),
        ]
    )


def side_by_side(ways: Mapping[str, Sequence[Shipping]]) -> str:
    """Ours beside what people use."""
    base = median(item.seconds - item.watched for item in next(iter(ways.values())))
    rows = []
    for name, items in ways.items():
        seconds, watched = (
            median(values) for values in zip(*((i.seconds, i.watched) for i in items), strict=True)
        )
        working = median(item.seconds - item.watched for item in items)
        rows.append(
            (
                f"`{name}`" if name.startswith("d") else name,
                sum(item.requests for item in items),
                sum(item.failed for item in items),
                f"{median(item.failed for item in items):g}",
                f"{median(item.gap_ms for item in items):.0f}",
                f"{median(item.p99_ms for item in items):.0f}",
                _s(seconds),
                _s(watched),
                f"{working / base:.2f}",
            )
        )
    headings = ("way", "requests in all", "failed in all", "failed, median", "longest gap, ms", "p99, ms",
                "wall time, s", "of it watching, s", "ratio without watching")  # fmt: skip
    return "\n\n".join(
        [
            "## The same new version, under the same load",
            f"{CLIENTS} keep-alive HTTPS clients, {RATE:g} updates a second each, on one droplet; {len(items)} times "
            f"each way; images pulled before, no migration. Ours watches the new version for {SOAK} s before it lets "
            "the old one go; the others do not watch.",
            table(headings, rows),
            "Failed requests were repeated as Telegram does, and no update was lost in any way. *Scale up, scale down* "
            "is what docker-rollout documents: as many new containers beside the old, wait until they are healthy, "
            "remove the old. Both peers stand behind HAProxy in a container that finds their containers in Docker's "
            "DNS, checks readiness each second and tries another container when a connection is refused; the "
            "application drains on SIGTERM in all three. Neither of them checks, migrates, verifies, records or goes "
            "back.",
        ]
    )


def ledger(short: Sequence[Release], long: Sequence[Release], records: tuple[int, int]) -> str:
    """Whether many records make releases slow."""
    few, many = (median(item.caller - item.start for item in items) for items in (short, long))
    whole = [median(item.caller for item in items) for items in (short, long)]
    change = whole[1] / whole[0] - 1
    rows = [
        (count, _s(total), _s(rest)) for count, total, rest in zip(records, whole, (few, many), strict=True)
    ]
    return "\n\n".join(
        [
            "## With many records",
            table(("records in the ledger", "release, s", "without the application's start, s"), rows),
            f"Difference: {change:+.1%} (goal: within {LEDGER_GOAL:.0%}, {_met(change <= LEDGER_GOAL)}).",
        ]
    )


def _s(seconds: float) -> str:
    return f"{seconds:.2f}"


def _met(met: bool) -> str:
    return "met" if met else "NOT met"


def release_notes(
    ways: Mapping[str, Sequence[Shipping]],
    releases: Sequence[Release],
    warm: Sequence[Rollback],
    cold: Sequence[Rollback],
) -> list[str]:
    """In words that can be judged."""
    lost = [f"{name}: {sum(item.failed for item in found)} requests failed" for name, found in ways.items()]
    own = median(item.overhead for item in releases)
    back = median(item.cutover for item in warm), median(item.cutover - item.start for item in cold)
    return [
        *lost,
        f"a release's own time: {own:.2f} s",
        f"back to a version that still runs: {back[0]:.2f} s to the cut-over",
        f"back to one that was stopped: its start and {back[1]:.2f} s to the cut-over",
    ]


def converge(found: Sequence[Resource], ways: Sequence[Way], states: Durations) -> str:
    """Runs with nothing to do, side by side, and the states that take longest in ours."""
    own = ways[0].median
    rows = [
        (way.name, _s(way.median), _s(min(way.seconds)), _s(max(way.seconds)), f"{way.median / own:.1f}")
        for way in ways
        if not way.problem
    ]
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts(found).items())
    return "\n\n".join(
        [
            "## A run with nothing to do",
            f"Seconds, medians of {len(ways[0].seconds)}, in turn on one droplet. {len(found)} resources each, counted "
            f"in every run, and not one changed: {kinds}. *Other* is what only this tree has a state for; there it is "
            "the command `true`, while ours looks at PostgreSQL's roles, the packet filter, containers and the like.",
            table(("way", "median", "fastest", "slowest", "ratio"), rows),
            f"Goal: at most {NOTHING_GOAL:g} s, {_met(own <= NOTHING_GOAL)}; ahead of all others: "
            f"{_met(all(own < way.median for way in ways[1:] if not way.problem))}.",
            *[f"{way.name} did not run: {way.problem}" for way in ways if way.problem],
            *_slow(states),
        ]
    )


def _slow(states: Durations) -> list[str]:
    took = {state: median(times) for state, times in states.items()}
    slow = sorted(((ms, *state) for state, ms in took.items() if ms > SLOW_MS), reverse=True)
    rows = [
        (f"`{function}`: {name}", f"{ms:.0f}", SLOW.get(function, "**nobody knows**"))
        for ms, function, name in slow
    ]
    return [
        f"All {len(took)} states of ours take {sum(took.values()) / 1000:.2f} s, medians; of these, more than "
        f"{SLOW_MS:g} ms each:",
        table(("state", "ms", "why"), rows),
    ]


def converge_note(found: Sequence[Resource], ways: Sequence[Way]) -> str:
    """In words that can be judged."""
    others = ", ".join(f"{way.name} {way.median:.1f} s" for way in ways[1:] if not way.problem)
    fastest = min((way.median for way in ways[1:] if not way.problem), default=0.0)
    return (
        f"nothing to do in {len(found)} resources: {ways[0].median:.2f} s; {others}; the fastest of the others takes "
        f"{fastest / ways[0].median:.2f} times as long"
    )


def footprint(found: Footprint) -> str:
    """First runs, memory, states."""
    first = median(found.first)
    units = sorted(found.memory.items(), key=lambda item: -item[1])
    rows = [
        (unit, f"{memory:.0f}", "Docker's own" if unit in DOCKER else "")
        for unit, memory in units
        if memory >= 1
    ]
    few, many = min(found.states), max(found.states)
    each = (found.states[many] - found.states[few]) / (many - few) * 1000
    return "\n\n".join(
        [
            "## The first run",
            f"`./bootstrap.sh` on a bare droplet, packages and images near: median **{first:.0f} s** of "
            f"{len(found.first)} (goal: at most {FIRST_GOAL:g} s, {_met(first <= FIRST_GOAL)}).",
            "## Memory",
            "Proportional set size of processes outside of containers, monitoring minimal, by unit; from 1 MB on.",
            table(("unit", "MB", ""), rows),
            f"All but Docker's own and containers: **{found.own:.0f} MB** (goal: at most {MEMORY_GOAL:g} MB, "
            f"{_met(found.own <= MEMORY_GOAL)}).",
            "## By the number of states",
            "Files that are as they should be; medians.",
            table(("states", "s"), [(count, _s(seconds)) for count, seconds in found.states.items()]),
            f"{each:.1f} ms for each more.",
        ]
    )


def footprint_notes(found: Footprint) -> list[str]:
    """In words that can be judged."""
    return [
        f"first converge of a bare droplet: {median(found.first):.0f} s",
        f"memory of all but containers and Docker: {found.own:.0f} MB",
    ]
