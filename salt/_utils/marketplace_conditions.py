"""What is wrong, as somebody hears of it, and when that begins and ends. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something that is wrong at this look.

    Attributes:
        name: dotted and stable (``service.down``); with ``service`` it is one thing, however often it is found.
        service: whom it concerns: ``postgres``, or ``droplet`` for the machine itself.
        severity: one of the spool's.
        summary: what is wrong, in a sentence.
        cause: what most likely brought it about; empty where nobody can tell.
        command: what to type next; empty where nothing on the droplet helps.
        since: when it began (seconds since 1970), where somebody knows better than who looks.
        at_once: whether it is too bad to wait for it to last.
    """

    name: str
    service: str
    severity: str
    summary: str
    cause: str
    command: str
    since: float | None = None
    at_once: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}/{self.service}"


@dataclass(frozen=True)
class Timing:
    """How long something has to be wrong before anybody hears of it, and right before it counts as over (seconds)."""

    after: float
    clear: float


@dataclass(frozen=True)
class Condition:
    """Something that has been wrong for a while.

    Attributes:
        since: when it was wrong first; seen: when it was wrong last (seconds since 1970).
        active: whether it has lasted long enough for somebody to hear of it.
    """

    finding: Finding
    since: float
    seen: float
    active: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "Condition":
        """The condition that :meth:`to_dict` has written; TypeError or KeyError where it is of another tree."""
        return cls(**(raw | {"finding": Finding(**raw["finding"])}))


class Tracker:
    """Makes conditions of findings.

    Args:
        timing: by a finding's name.
        known: conditions from before.
    """

    def __init__(self, timing: Callable[[str], Timing], known: Iterable[Condition] = ()) -> None:
        self._timing = timing
        self._known = {condition.finding.key: condition for condition in known}

    @property
    def all(self) -> list[Condition]:
        """Every condition, also one that nobody hears of yet."""
        return list(self._known.values())

    @property
    def active(self) -> dict[str, Condition]:
        """What somebody has to hear of, by its finding's key."""
        return {key: condition for key, condition in self._known.items() if condition.active}

    def update(self, findings: Iterable[Finding], now: float) -> None:
        """Take in what a look has found; ``now`` in seconds since 1970."""
        found = {finding.key: finding for finding in findings}
        for key, finding in found.items():
            before = self._known.get(key)
            since = min(time for time in (finding.since, before.since if before else now) if time is not None)
            lasted = finding.at_once or now - since >= self._timing(finding.name).after
            # Once somebody has heard of it, it stays until it is over.
            active = lasted or (before is not None and before.active)
            self._known[key] = Condition(finding, since, now, active)
        for key, condition in list(self._known.items()):
            if key in found:
                continue
            # What nobody has heard of needn't be seen off.
            wait = self._timing(condition.finding.name).clear if condition.active else 0.0
            if now - condition.seen >= wait:
                del self._known[key]
