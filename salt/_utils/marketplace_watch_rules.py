"""What is wrong by one look: rules over what was seen, and what is remembered of the looks before. Pure.

A rule says what is wrong now; ``TIMING`` says how long it has to be so before anybody hears of it.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from marketplace_conditions import Finding, Timing
from marketplace_container import ContainerState
from marketplace_drift_record import LATE, advice, words
from marketplace_health import ServiceHealth, judge
from marketplace_paths import Paths
from marketplace_units import rough_size
from marketplace_watch_history import RESTART_SPAN, SPAN, History
from marketplace_watch_seen import MACHINE, Seen, next_look

# How long something must last to be told, and be gone to be over. What is not named here is told at once.
TIMING = {
    # HAProxy has needed two failures in a row to say so. One that comes and goes is one thing.
    "service.down": Timing(5, 30),
    "service.silent": Timing(10, 10),
    "resource.memory": Timing(120, 60),
    "resource.disk": Timing(10, 10),
    "maintenance.long": Timing(3600, 0),
    "drift": Timing(0, 0),
}
AT_ONCE = Timing(0, 30)
# What the backend is not ready without.
NEEDED = ("postgres", "redis")
# It finds its way back to them within so many seconds.
WAITS_SECONDS = 20
# What fires at a limit is over only when it is so many points below.
_SLACK = 5
_LOOP = 3
# Fewer failures than these are no rule, whatever their share.
_FEWEST_ERRORS, _FEWEST_SLOW = 3, 5
_MOSTLY = 0.5


def timing(name: str) -> Timing:
    """How long a finding of that name has to last."""
    return TIMING.get(name, AT_ONCE)


def findings(
    seen: Seen, history: History, limits: Mapping[str, Any], active: Collection[str]
) -> Iterator[Finding]:
    """All that is wrong.

    Args:
        seen: this look.
        history: it and those before.
        limits: the setting ``monitoring.thresholds``.
        active: keys of the findings that people know of already.
    """
    yield from services(seen)
    yield from restarted(history, seen)
    yield from processors(seen, history, limits["cpu"], active)
    yield from memory(seen, limits["memory"], active)
    yield from full_disks(seen, limits["disk"], active)
    yield from failures(seen, history, limits["errors"])
    yield from slow(seen, history, limits["slow"])
    yield from slow_queries(seen, history, limits["query"])
    yield from maintained(seen)
    yield from drifted(seen)


def health(seen: Seen) -> dict[str, ServiceHealth]:
    """Every service's health by one look."""
    states = None if seen.containers is None else {state.name: state for state in seen.containers.values()}
    return judge(seen.live, states, seen.statistics, seen.routed, seen.elsewhere)


def services(seen: Seen) -> Iterator[Finding]:
    """Services that do not do what they are for. What somebody has taken out of service is not missed."""
    if seen.containers is None:
        words = "Docker does not answer: containers run on, and nothing restarts one that ends"
        yield Finding("service.silent", "docker", "critical", words, "", "systemctl status docker")
    judged = health(seen)
    away = {name for name, service in judged.items() if service.status == "unhealthy"}
    if "operator" in seen.closed:
        return
    for name in sorted(away):
        if name in ("backend", "edge") and "release" in seen.closed:
            continue
        if name == "postgres" and seen.restoring:
            continue
        # A backend that can't do without them is well itself, however it puts that.
        if name == "backend" and (away & set(NEEDED) or waits(seen)):
            continue
        yield _down(name, judged[name], seen, and_bot=name in NEEDED and "backend" in away)
    worker = (seen.containers or {}).get("worker")
    # A release stops one worker before it starts the other.
    if seen.releasing:
        return
    if worker is None and seen.has_worker and seen.containers is not None:
        words, cause = "the live release's worker has no container", "somebody removed its container"
        yield Finding("service.down", "worker", "warning", words, cause, "salt-call deploy.resume")
    if worker is not None and not worker.running:
        words = f"container {worker.name} is {worker.status} (exit code {worker.exit_code})"
        cause = _cause("worker", worker, seen)
        command = _unpaused(worker) or f"docker start {worker.name}"
        yield Finding("service.down", "worker", "warning", words, cause, command)


def waits(seen: Seen) -> bool:
    """Whether the backend may have to do without PostgreSQL or Redis, or has got them back only just now."""
    return any((seen.up_for(name) or 0) < WAITS_SECONDS for name in NEEDED)


def _down(name: str, service: ServiceHealth, seen: Seen, and_bot: bool) -> Finding:
    state = (seen.containers or {}).get(name)
    lasted = None if service.since_seconds is None else seen.at - service.since_seconds
    words = f"{service.detail}; the bot waits for it and takes no updates" if and_bot else service.detail
    # HAProxy's figure is about its check: a container that ended is known since this look alone.
    since = lasted if (state is not None and state.running) or name in seen.elsewhere else None
    command = "salt-call health.check" if name in seen.elsewhere else _command(name, state)
    return Finding("service.down", name, "critical", words, _cause(name, state, seen), command, since)


def _cause(name: str, state: ContainerState | None, seen: Seen) -> str:
    if name == "edge":
        return "" if seen.edge_up else "somebody stopped it, or it can't start: its configuration or a port"
    if name in seen.elsewhere:
        return "the provider has trouble, is at maintenance, or no longer lets this droplet in: its console tells"
    if state is None:
        return "" if seen.containers is None else "somebody removed its container"
    if state.status == "paused":
        return "somebody paused its container"
    if state.starved:
        return "Docker had no room on the disk to start it"
    if not state.running and state.exit_code == 0:
        return "somebody stopped it"
    if not state.running:
        return "it can't start, or somebody killed it: its last words tell"
    said = seen.last_check(name)
    if said in TIMEOUTS:
        return "it hangs, or gets no processor time"
    if said == "L4CON":
        return "its process is starting, or does not listen any more"
    if said == "L7STS" and name == "backend":
        return "it answers, and says that it is not ready: its log tells why"
    if name == "postgres" and said.startswith("L7"):
        return "it starts, and replays its log after a crash"
    if name == "redis" and said.startswith("L7"):
        return (
            "it could not save and takes no writes, for want of room on its disk mostly; or it loads its data"
        )
    return ""


def _command(name: str, state: ContainerState | None) -> str:
    if name == "edge":
        return "systemctl status haproxy"
    if state is not None and (unpaused := _unpaused(state)):
        return unpaused
    if state is None or not state.running:
        return "salt-call deploy.resume" if name == "backend" else "salt-call state.apply"
    return f"salt-call deploy.logs service={name}"


def _unpaused(state: ContainerState) -> str:
    """What ends a pause, which nothing else does; "" where there is none."""
    return f"docker unpause {state.name}" if state.status == "paused" else ""


# What HAProxy calls a check that got no answer in time: at connecting, at TLS, at the question itself.
TIMEOUTS = frozenset(("L4TOUT", "L6TOUT", "L7TOUT"))


AGAIN = "it ends soon after each start: its last words tell why"


def restarted(history: History, seen: Seen) -> Iterator[Finding]:
    """Services that ended by themselves, and whom Docker or systemd has restarted."""
    for service, times in history.restarts.recent().items():
        state = (seen.containers or {}).get(service)
        again = f"{times} times" if times > 1 else "once"
        words = f"{service} ended by itself and was restarted {again} within {RESTART_SPAN / 60:.0f} minutes"
        code = "" if state is None or not state.killed else "it was killed, most likely for its memory limit"
        command = next_look(service)
        if times >= _LOOP:
            yield Finding("service.crash_loop", service, "critical", words, code or AGAIN, command)
        else:
            yield Finding("service.restarted", service, "warning", words, code, command)


def processors(seen: Seen, history: History, percent: float, active: Collection[str]) -> Iterator[Finding]:
    """Who has used too large a part of the processors that it may use, over the whole span."""
    if not history.cpu.full:
        return
    grown, seconds = history.cpu.grown(), history.cpu.seconds
    shares = {
        name: grown.get(name, 0.0) / seconds / group.cpus for name, group in seen.groups.items() if group.cpus
    }
    busy = {name: grown.get(name, 0.0) / seconds for name in seen.groups}
    for name, share in shares.items():
        if _over("resource.cpu", name, 100 * share, percent, active):
            words = (
                f"{_whose(name)} has used {100 * share:.0f}% of its processors for {SPAN / 60:.0f} minutes"
            )
            cause = f"most of it: {_largest(busy, '{:.2f} CPUs'.format)}" if name == MACHINE else ""
            yield Finding("resource.cpu", name, "warning", words, cause, "docker stats --no-stream")


def memory(seen: Seen, percent: float, active: Collection[str]) -> Iterator[Finding]:
    """Who uses too large a part of its memory."""
    used = {name: float(group.memory) for name, group in seen.groups.items()}
    for name, group in seen.groups.items():
        if group.limit and _over("resource.memory", name, 100 * group.memory / group.limit, percent, active):
            words = (
                f"{_whose(name)} uses {100 * group.memory / group.limit:.0f}% of its memory "
                f"({rough_size(group.memory)} of {rough_size(group.limit)})"
            )
            cause = f"most of it: {_largest(used, rough_size)}" if name == MACHINE else ""
            yield Finding("resource.memory", name, "warning", words, cause, "docker stats --no-stream")


def full_disks(seen: Seen, percent: float, active: Collection[str]) -> Iterator[Finding]:
    """Whose file system is too full."""
    for name, (used, total) in seen.disks.items():
        share = 100 * used / total if total else 0.0
        if _over("resource.disk", name, share, percent, active):
            left = f"{rough_size(total - used)} of {rough_size(total)} left"
            words = f"the disk of {name} is {share:.0f}% full ({left})"
            place = Paths().file_systems[name]
            cause = DISK_CAUSES.get(name, "")
            severity = "critical" if share >= FULL else "warning"
            command = f"du -xh --max-depth=3 {place} | sort -h | tail"
            yield Finding("resource.disk", name, severity, words, cause, command)


FULL = 95.0
DISK_CAUSES = {
    MACHINE: "images, logs, or a file that somebody put there",
    "postgres": "its data have grown, or its log is kept for a receiver that is away",
    "backups": "the database has grown, or backup:keep_days is too many",
}


def failures(seen: Seen, history: History, percent: float) -> Iterator[Finding]:
    """Too many answers with 5xx, while the services themselves are well."""
    grown = history.answers.grown()
    answers, errors = grown.get("answers", 0.0), grown.get("errors", 0.0)
    if errors < _FEWEST_ERRORS or 100 * errors < percent * answers or history.unwell(seen.at):
        return
    words = f"{errors:.0f} of {answers:.0f} updates were answered with 5xx within {SPAN / 60:.0f} minutes"
    cause = "the bot fails at some updates; Telegram sends them again until it does not"
    severity = "critical" if errors >= _MOSTLY * answers else "warning"
    command = "salt-call deploy.logs service=backend level=error"
    yield Finding("edge.errors", "backend", severity, words, cause, command)


def slow(seen: Seen, history: History, seconds: float) -> Iterator[Finding]:
    """More than one answer in twenty took too long: that is what a 95th percentile above it means."""
    count, late = history.slow_answers.sums(seen.at)
    if not _is_rule(count, late) or history.unwell(seen.at):
        return
    words = (
        f"{100 * late / count:.0f}% of {count:.0f} updates took longer than {seconds:g} s within "
        f"{SPAN / 60:.0f} minutes (at most 5% should)"
    )
    cause = "PostgreSQL or the bot lack processor time, or wait for something"
    yield Finding("edge.slow", "backend", "warning", words, cause, "salt-call health.check")


def _is_rule(count: float, late: float) -> bool:
    """Whether so many of all are more than one in twenty, and enough to go by."""
    return late >= _FEWEST_SLOW and late > 0.05 * count


def slow_queries(seen: Seen, history: History, seconds: float) -> Iterator[Finding]:
    """The same of the bot's queries, by the best guess there is: how long each took, PostgreSQL does not keep."""
    count, late = history.slow_queries.sums(seen.at)
    if not _is_rule(count, late) or history.unwell(seen.at):
        return
    words = (
        f"about {100 * late / count:.0f}% of the bot's {count:.0f} queries took longer than {seconds:g} s within "
        f"{SPAN / 60:.0f} minutes (at most 5% should)"
    )
    cause = "a query without an index, one that waits for another, or too little processor time"
    command = "salt-call deploy.logs service=postgres"
    yield Finding("query.slow", "postgres", "warning", words, cause, command)


def maintained(seen: Seen) -> Iterator[Finding]:
    """Somebody has closed the edge and may have forgotten it."""
    if "operator" in seen.closed:
        words = (
            "the edge has been closed for maintenance for an hour: updates wait at Telegram, some get lost"
        )
        yield Finding("maintenance.long", "edge", "warning", words, "", "salt-call deploy.maintenance off")


def drifted(seen: Seen) -> Iterator[Finding]:
    """Somebody has changed the droplet by hand, or nobody can tell whether somebody has."""
    if seen.drift is None:
        if seen.unlooked is not None and seen.at - seen.unlooked > LATE:
            yield _unlooked("nobody has ever looked for drift")
        return
    causes = [row for row in seen.drift["differences"] if not row["follows"]]
    age = seen.at - datetime.fromisoformat(seen.drift["looked"]).timestamp()
    if causes or seen.drift["trouble"]:
        cause = "somebody changed it by hand, or a package did" if causes else ""
        command = (
            "salt-call state.apply"
            if "puts it right" in advice(causes) and causes
            else "salt-call health.drift"
        )
        since = min((datetime.fromisoformat(row["since"]).timestamp() for row in causes), default=None)
        yield Finding("drift", MACHINE, "warning", words(seen.drift), cause, command, since)
    elif age > LATE:
        yield _unlooked(f"nobody has looked for drift for {age / 86400:.0f} days")


def _unlooked(said: str) -> Finding:
    return Finding("drift", MACHINE, "warning", said, "", "journalctl -u marketplace-drift -n 50")


def _over(name: str, service: str, value: float, limit: float, active: Collection[str]) -> bool:
    return value > limit - (_SLACK if f"{name}/{service}" in active else 0)


def _whose(name: str) -> str:
    return "the droplet" if name == MACHINE else name


def _largest(amounts: Mapping[str, float], words: Any) -> str:
    """The services that use most, with how much, and what the rest of the machine does."""
    services = {name: amount for name, amount in amounts.items() if name != MACHINE}
    rest = amounts.get(MACHINE, 0.0) - sum(services.values())
    ranked = sorted({**services, "the host": max(0.0, rest)}.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {words(amount)}" for name, amount in ranked[:3])
