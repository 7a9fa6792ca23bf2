"""What single looks can't tell: how counters grew over some minutes, and who was restarted how often. Pure."""

import itertools
from collections import deque
from collections.abc import Mapping

from marketplace_container import ContainerState
from marketplace_watch_seen import Seen

SPAN = 300.0
_EVERY = 10.0
RESTART_SPAN = 600.0
LATELY = 12.0


class Counters:
    """Counters that only grow, over the last ``SPAN`` seconds. One that fell was begun anew."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[str, float]]] = deque()

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Take a sample; one that comes too soon behind the last is left out."""
        if self._samples and at - self._samples[-1][0] < _EVERY:
            return
        self._samples.append((at, dict(values)))
        while at - self._samples[0][0] > SPAN:
            self._samples.popleft()

    @property
    def seconds(self) -> float:
        """The time that the samples cover."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0

    @property
    def full(self) -> bool:
        """Whether the samples cover most of the span, so that a burst does not look like the rule."""
        return self.seconds >= 0.8 * SPAN

    def grown(self) -> dict[str, float]:
        """By how much each counter has grown."""
        found: dict[str, float] = {}
        samples = list(self._samples)
        for (_, before), (_, after) in itertools.pairwise(samples):
            for name, value in after.items():
                if name in before:
                    step = value - before[name] if value >= before[name] else value
                    found[name] = found.get(name, 0.0) + step
        return found


class Restarts:
    """When Docker or systemd restarted which service because it had ended by itself.

    Attributes:
        latest: how often Docker did by the last look, where it did at all.
    """

    def __init__(self) -> None:
        self.latest: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._times: dict[str, deque[float]] = {}

    def note(self, seen: Seen) -> None:
        """Take in a look. A container that is seen for the first time, or made anew, was not restarted."""
        states = (seen.containers or {}).items()
        counts = {service: (f"{service} {state.name}", state.restarts) for service, state in states}
        self.latest = self._grown(counts, seen.at)

    def note_units(self, counts: Mapping[str, int], at: float) -> dict[str, int]:
        """Take in how often systemd says that it has restarted each unit; how often it did since the last time."""
        return self._grown({service: (_unit(service), count) for service, count in counts.items()}, at)

    def ours(self, service: str) -> None:
        """Its unit did not end by itself this time: who says so has killed it."""
        if _unit(service) in self._known:
            self._known[_unit(service)] += 1

    def _grown(self, counts: Mapping[str, tuple[str, int]], at: float) -> dict[str, int]:
        grown = {}
        for service, (key, count) in counts.items():
            times = count - self._known.get(key, count)
            self._known[key] = count
            if times > 0:
                self._times.setdefault(service, deque()).extend([at] * times)
                grown[service] = times
        for known in self._times.values():
            while known and at - known[0] > RESTART_SPAN:
                known.popleft()
        return grown

    def recent(self) -> dict[str, int]:
        """How often each service was restarted within the last ``RESTART_SPAN`` seconds."""
        return {service: len(times) for service, times in self._times.items() if times}


def _unit(service: str) -> str:
    return f"unit of {service}"


class Shares:
    """Which part of the processors that it may use each service has used of late."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque()

    def note(self, seen: Seen) -> None:
        """Take in a look."""
        spent = {name: group.cpu / group.cpus for name, group in seen.groups.items() if group.cpus}
        self._looks.append((seen.at, spent))
        while seen.at - self._looks[0][0] > LATELY:
            self._looks.popleft()

    def of(self, service: str) -> float:
        """The share of ``service``, 0 to 1; 0 where nothing is known of it."""
        (began, before), (ended, after) = self._looks[0], self._looks[-1]
        if ended <= began or service not in before or service not in after:
            return 0.0
        return max(0.0, after[service] - before[service]) / (ended - began)


class Late:
    """How many things of the last ``SPAN`` seconds took too long."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, float, float]] = deque()

    def note(self, at: float, count: float, late: float) -> None:
        """Take in how many there were since the last time, and how many of them took too long."""
        self._counts.append((at, count, late))
        while at - self._counts[0][0] >= SPAN:
            self._counts.popleft()

    def sums(self, now: float) -> tuple[float, float]:
        """All of the span before an instant, and those that took too long. What nobody counts any more is over."""
        counts = [(count, late) for at, count, late in self._counts if 0 <= now - at < SPAN]
        return sum(count for count, _ in counts), sum(late for _, late in counts)


class History:
    """All that is remembered between looks.

    Attributes:
        slow_answers: of the edge; slow_queries: of the bot.
    """

    def __init__(self) -> None:
        self.restarts = Restarts()
        self.cpu = Counters()
        self.shares = Shares()
        self.answers = Counters()
        self.slow_answers, self.slow_queries = Late(), Late()
        self._unwell = 0.0

    def note(self, seen: Seen) -> None:
        """Take in a look."""
        self.restarts.note(seen)
        self.shares.note(seen)
        if seen.at_backups:  # Which is planned, and takes what it is given.
            self.cpu = Counters()
        self.cpu.add(seen.at, {name: group.cpu for name, group in seen.groups.items()})
        if seen.statistics is not None:
            self.answers.add(seen.at, _answers(seen))
        if seen.closed or not _serves(seen):
            self._unwell = seen.at

    def unwell(self, at: float) -> bool:
        """Whether updates were not accepted at some time within the span, so that failures in it are explained."""
        return at - self._unwell <= SPAN


def _answers(seen: Seen) -> dict[str, float]:
    rows = [row for (proxy, name), row in (seen.statistics or {}).items() if _is_serving(proxy, name)]
    kinds = {
        kind: sum(int(row.get(f"hrsp_{kind}") or 0) for row in rows) for kind in ("2xx", "3xx", "4xx", "5xx")
    }
    return {"answers": float(sum(kinds.values())), "errors": float(kinds["5xx"])}


def _is_serving(proxy: str, name: str) -> bool:
    return proxy.startswith("be_") and name == "BACKEND"


def _serves(seen: Seen) -> bool:
    """Whether the live backend answers that it is ready."""
    state: ContainerState | None = (seen.containers or {}).get("backend")
    return seen.check("backend").get("status", "").startswith("UP") and (
        seen.containers is None or (state is not None and state.running)
    )
