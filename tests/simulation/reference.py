"""Operations whose every gate is tried: what is there before, and what is done."""

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.simulation.containers import Container
from tests.simulation.droplet import Droplet, simulated
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import (
    DIGEST_1,
    DIGEST_2,
    DIGEST_3,
    LABELS,
    WORKER,
    Change,
    Image,
    chain,
)
from tests.simulation.invariants import settled, told
from tests.simulation.operations import Ended, Work, going_back, run, settling, shipping

HOOKS = {"marketplace.before": '["check"]', "marketplace.after": '["warm"]'}
FULL = LABELS | WORKER | HOOKS


_prepared: dict[str, Droplet] = {}


USUAL = Image(DIGEST_3, chain("0001", "0002", "0003"), FULL)


@dataclass(frozen=True, eq=False)
class Reference:
    """An operation.

    Attributes:
        ship: versions that are shipped before; work: what is tried then.
        image: of version 2.0.0; happens: what happens at which gate, by its name, whatever else is tried.
        strays: containers for which a killed compose has left half-made ones.
    """

    name: str
    ship: tuple[str, ...]
    work: Callable[[Droplet], Work]
    image: Image = USUAL
    happens: tuple[tuple[str, str], ...] = ()
    strays: tuple[str, ...] = ()

    def prepared(self) -> Droplet:
        """The droplet before, with nothing in the way."""
        if self.name not in _prepared:
            _prepared[self.name] = self._made()
        return copy.deepcopy(_prepared[self.name])

    def _made(self) -> Droplet:
        droplet = simulated()
        droplet.settings["backend"] |= {"soak": 2, "keep_releases": 1, "ready_timeout": 6, "stop_grace": 5}
        droplet.settings["backend"]["hooks"] = {"before": [["/bin/ask"]], "after": [["/bin/tell"]]}
        droplet.host.commands |= {"/bin/ask": 0, "/bin/tell": 0}
        droplet.push("1.0.0", Image(DIGEST_1, labels=FULL))
        droplet.push("1.1.0", Image(DIGEST_2, chain("0001", "0002"), FULL))
        droplet.push("2.0.0", self.image)
        for version in self.ship:
            record = run(droplet, shipping(droplet, version)).record
            assert record.outcome == "live", record.reason
        for name in self.strays:
            image = next(iter(droplet.docker.names.values()))
            labels, colour = {"marketplace.release": "another"}, name.partition("-")[2]
            stray = f"0123456789ab_{name}"
            droplet.docker.there[stray] = Container(stray, image, "", labels, f"backend-{colour}")
        return droplet

    def done(self, plan: Plan | None = None) -> tuple[Droplet, Ended]:
        """The droplet behind it, and how it ended."""
        droplet, plan = self.prepared(), plan or Plan()
        plan.by_name |= {gate: Fault(kind) for gate, kind in self.happens}
        return droplet, run(droplet, self.work(droplet), plan)

    def gates(self, acts: bool) -> list[str]:
        """The names of its gates, in order."""
        return self.done(Plan(acts=acts))[1].gates


BREAKING = Change("0003", breaks=True, breaking=True, transactional=False)
FOR_GOOD = replace(BREAKING, reversible=False)
THREE = chain("0001", "0002", BREAKING)

REFERENCES = (
    Reference("first release", (), lambda d: shipping(d, "1.0.0")),
    Reference("release", ("1.0.0", "1.1.0"), lambda d: shipping(d, "2.0.0")),
    # What the live release has scheduled runs meanwhile.
    Reference("rollback", ("1.0.0", "1.1.0"), going_back, happens=(("reached pull:start", "job"),)),
    Reference(
        "release in maintenance",
        ("1.0.0", "1.1.0"),
        lambda d: shipping(d, "2.0.0", maintenance=True),
        Image(DIGEST_3, chain("0001", "0002", FOR_GOOD), FULL),
        happens=(("reached schema:start", "job"),),
    ),
    Reference(
        "release that goes back",
        ("1.0.0", "1.1.0"),
        lambda d: shipping(d, "2.0.0"),
        Image(DIGEST_3, chain("0001", "0002", "0003"), FULL, behaviour="errors"),
        happens=(("reached verify:start", "job"),),
    ),
    Reference(
        "release in maintenance that goes back",
        ("1.0.0", "1.1.0"),
        lambda d: shipping(d, "2.0.0", maintenance=True),
        Image(DIGEST_3, THREE, FULL, behaviour="wrong_version"),
    ),
    Reference(
        "release that is withdrawn",
        ("1.0.0", "1.1.0"),
        lambda d: shipping(d, "2.0.0"),
        happens=(("reached soak:start", "withdraw"),),
    ),
    Reference(
        "release that is refused",
        ("1.0.0", "1.1.0"),
        lambda d: shipping(d, "2.0.0"),
        Image(DIGEST_3, THREE, FULL),
    ),
    Reference(
        "release behind a killed compose",
        ("1.0.0", "1.1.0"),
        lambda d: shipping(d, "2.0.0"),
        strays=("backend-blue", "worker-blue"),
    ),
)


def wrong_after(droplet: Droplet, ended: Ended) -> list[str]:
    """Have what is left settled, twice, and say what is wrong then."""
    wrong = told(droplet, ended.answer) if ended.answer is not None else []
    first = run(droplet, settling(droplet))
    if first.error is not None:
        return [*wrong, f"could not be resumed: {first.error!r}"]
    wrong += settled(droplet)
    before = droplet.state()
    second = run(droplet, settling(droplet))
    if second.error is not None or droplet.state() != before:
        wrong.append(
            f"resumed twice is not resumed once: {second.error or _differences(before, droplet.state())}"
        )
    newest = droplet.world.ledger.newest(1)
    record = ended.answer
    if record is not None and record.outcome in ("live", "failed", "rolled_back"):
        if not newest or newest[0].release != record.release:
            wrong.append(f"release {record.release} was told to be {record.outcome}, and has no record")
        elif newest[0].outcome != record.outcome:
            wrong.append(f"release {record.release} was told to be {record.outcome}, is {newest[0].outcome}")
    return wrong


def _differences(before: dict, after: dict) -> list[str]:
    return [
        f"{part} {name}"
        for part in before
        for name in {*before[part], *after[part]}
        if before[part].get(name) != after[part].get(name)
    ]


def tried(reference: Reference, at: int, fault: Fault, acts: bool, again: bool = False) -> list[str]:
    """What is wrong when that happens at that gate.

    Args:
        acts: whether only gates that change something are counted.
        again: the power fails once more when all is settled.
    """
    droplet, ended = reference.done(Plan(at={at: fault}, acts=acts))
    wrong = wrong_after(droplet, ended)
    if again:
        reported = droplet.world.ledger.ids()
        droplet.power_fails(random.Random(fault.seed))  # noqa: S311 - chance that can be repeated
        droplet.stage.enter()
        wrong += wrong_after(droplet, Ended())
        if droplet.world.ledger.ids() != reported:
            wrong.append(f"of the records {reported} only {droplet.world.ledger.ids()} are left")
    where = ended.gates[at - 1] if len(ended.gates) >= at else "its end"
    what = f"{fault.kind} at gate {at} ({where}){', and power loss behind it' if again else ''}"
    return [f"{reference.name}, {what}: {words}" for words in wrong]


def search(reference: Reference) -> str:
    """The first thing that is wrong with an operation: undisturbed, or killed, without power or both at any gate."""
    droplet, ended = reference.done()
    if ended.error is not None:
        return repr(ended.error)
    for words in [*settled(droplet), *wrong_after(droplet, ended)]:
        return f"{reference.name}: {words}"
    for kind, again in (("kill", False), ("power", False), ("kill", True)):
        for at in range(1, len(reference.gates(acts=True)) + 1):
            for seed in (at, at + 1000) if again else (at,):
                for words in tried(reference, at, Fault(kind, seed), acts=True, again=again):
                    return words
    return ""
