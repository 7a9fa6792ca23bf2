"""What operators do with a simulated droplet, each in a process of its own that may be killed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from marketplace_flight import Request
from marketplace_operate import perform, plan, resume
from marketplace_progress import Progress
from marketplace_records import ReleaseRecord

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Gate, Plan
from tests.simulation.stage import Killed, Process


class Heard(Progress):
    """Keeps what the engine tells. Telling takes its time, in which things happen as well."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.lines: list[str] = []

    def begin(self, step: str) -> None:
        self.say(f"{step} ...")

    def end(self, step: str, outcome: str, seconds: float, detail: str) -> None:
        self.say(f"{step}: {outcome} ({detail})")

    def say(self, words: str) -> None:
        self.gate.look("telling")
        self.lines.append(words)


@dataclass
class Ended:
    """How an operation ended: with an answer, with an error, or killed."""

    answer: Any = None
    error: Exception | None = None
    killed: bool = False
    heard: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)

    @property
    def record(self) -> ReleaseRecord:
        """The answer, where it has to be a release's record."""
        if self.error is not None:
            raise self.error
        assert isinstance(self.answer, ReleaseRecord), "killed" if self.killed else self.answer
        return self.answer


Work = Callable[[Progress], Any]


def run(droplet: Droplet, work: Work, plan: Plan | None = None) -> Ended:
    """Do something in a process of its own, with the plan's faults. No fault is left afterwards."""
    heard = Heard(droplet.gate)
    ended = Ended(heard=heard.lines)
    droplet.stage.enter()
    droplet.gate.plan = plan or Plan()
    try:
        ended.answer = work(heard)
    except Killed:
        ended.killed = True
    except Exception as error:
        ended.error = error
    except KeyboardInterrupt as error:  # the process ends, as it does by default
        ended.killed = True
        heard.lines.append(f"interrupted: {error}")
    finally:
        ended.gates = droplet.gate.plan.log
        droplet.gate.calm()
        if droplet.going_down:
            droplet.process_ended()
        droplet.stage.finish()
        droplet.stage.enter()
    return ended


def beside(droplet: Droplet, work: Work) -> Process:
    """Somebody else does something, while the process under test stands at a gate."""
    return droplet.stage.join("other", lambda: work(Progress()))


def shipping(droplet: Droplet, version: str, by: str = "alice", image: str = "", **how: Any) -> Work:
    """A release; ``how``: fields of the Request."""
    asked = Request(version=version, image=image, by=by, tree="abc123", **how)
    return lambda progress: perform(droplet.world, droplet.settings, asked, progress)


def going_back(droplet: Droplet, target: str = "", by: str = "alice", **how: Any) -> Work:
    """A rollback to ``target``, or to the release before."""
    asked = Request(version="", image="", by=by, tree="abc123", kind="rollback", target=target, **how)
    return lambda progress: perform(droplet.world, droplet.settings, asked, progress)


def planning(droplet: Droplet, version: str, **how: Any) -> Work:
    """What a release would do."""
    asked = Request(version=version, image="", by="alice", tree="abc123", **how)
    return lambda progress: plan(droplet.world, droplet.settings, asked, progress)


def settling(droplet: Droplet, by: str = "boot") -> Work:
    """What runs at boot."""
    return lambda progress: resume(droplet.world, droplet.settings, by, progress)
