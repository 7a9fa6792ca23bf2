"""The gate: every effect of the engine passes it, one by one, and there anything may happen to it."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.simulation.stage import Killed, Stage

Trouble = Callable[[str], Exception]


@dataclass(frozen=True)
class Fault:
    """What happens at one gate.

    Attributes:
        kind: ``kill``, ``power`` (the droplet loses it), ``fail`` (instead of acting), ``late`` (acted, and failed),
            ``hang`` (until the effect's own deadline), ``signal`` (SIGTERM), ``reboot`` (the same, and
            the droplet goes down when the process has ended), or the name of a happening of the droplet.
        seed: what is left to chance.
        lasts: for how many gates the same group of effects goes on failing.
    """

    kind: str
    seed: int = 0
    lasts: int = 0


@dataclass
class Plan:
    """Which faults happen at which gate. Gates are counted from the beginning of the plan.

    Attributes:
        at: by the number of the gate; by_name: by its name, once, ``reached soak:start`` for example.
        acts: whether only gates that change something are counted.
    """

    at: dict[int, Fault] = field(default_factory=dict)
    by_name: dict[str, Fault] = field(default_factory=dict)
    acts: bool = False
    passed: int = 0
    log: list[str] = field(default_factory=list)

    def next(self, name: str, acts: bool) -> Fault | None:
        """The fault of this gate, if any."""
        if self.by_name and name in self.by_name:
            return self.by_name.pop(name)
        if self.acts and not acts:
            return None
        self.passed += 1
        self.log.append(name)
        return self.at.pop(self.passed, None)


class Gate:
    """Counts effects and lets the plan's faults happen.

    Args:
        stage: who acts; tick: called at every gate, before anything else; happen: what the droplet does for a fault of
            another kind than those of a single effect; wait: has time pass, in seconds.
    """

    def __init__(
        self,
        stage: Stage,
        tick: Callable[[], None],
        happen: Callable[[Fault], None],
        wait: Callable[[float], None],
    ) -> None:
        self.stage = stage
        self.plan = Plan()
        self._tick = tick
        self._happen = happen
        self._wait = wait
        self._failing: dict[str, int] = {}

    def calm(self) -> None:
        """No fault from here on."""
        self.plan = Plan()
        self._failing.clear()

    def look(self, name: str, trouble: Trouble | None = None, deadline: float = 5.0) -> None:
        """An effect that only looks is about to.

        Args:
            trouble: its own error; None where it cannot fail.
            deadline: seconds after which it gives up by itself.
        """
        if self._passes(name, False, trouble, deadline) and trouble:
            raise trouble(f"{name}: simulated")

    def act(self, name: str, trouble: Trouble | None = None, deadline: float = 60.0) -> "_Act":
        """An effect that changes something: do it in the block."""
        return _Act(self._passes(name, True, trouble, deadline), name, trouble)

    def _passes(self, name: str, acts: bool, trouble: Trouble | None, deadline: float) -> bool:
        """Whether it fails after it has acted."""
        if self.stage.current.dead:
            raise Killed
        self._tick()
        if self.stage.main_acts:
            fault = self.plan.next(name, acts)
            if fault is not None:
                late = self._befalls(fault, name, trouble, deadline)
                if self.stage.current.dead:
                    raise Killed
                return late
        if self._failing and trouble is not None:
            group = name.partition(" ")[0]
            left = self._failing.get(group, 0)
            if left:
                self._failing[group] = left - 1
                raise trouble(f"{name}: simulated")
        return False

    def _befalls(self, fault: Fault, name: str, trouble: Trouble | None, deadline: float) -> bool:
        if fault.kind == "kill":
            self.stage.kill()
        elif fault.kind in ("fail", "hang", "late"):
            if trouble is None:
                return False
            if fault.lasts:
                self._failing[name.partition(" ")[0]] = fault.lasts
            if fault.kind == "late":
                return True
            if fault.kind == "hang":
                self._wait(deadline)
                raise trouble(f"{name} took longer than {deadline:.0f} s: simulated")
            raise trouble(f"{name}: simulated")
        elif fault.kind == "signal":
            self._signal()
        elif fault.kind == "reboot":
            self._happen(fault)
            self._signal()
        else:
            self._happen(fault)
        return False

    def _signal(self) -> None:
        """SIGTERM, as the process has arranged for it."""
        handler: Any = signal.getsignal(signal.SIGTERM)
        if handler is signal.SIG_DFL:
            self.stage.kill()
        elif callable(handler):
            handler(signal.SIGTERM, None)


class _Act:
    """What :meth:`Gate.act` gives."""

    __slots__ = ("late", "name", "trouble")

    def __init__(self, late: bool, name: str, trouble: Trouble | None) -> None:
        self.late, self.name, self.trouble = late, name, trouble

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.late and self.trouble and error is None:
            raise self.trouble(f"{self.name} acted, and failed: simulated")
