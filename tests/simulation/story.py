"""A story of a droplet: operations in any order, with anything that may happen in between, and what is checked."""

import random
from collections.abc import Sequence
from typing import Any

from marketplace_lock import LockHeld
from marketplace_records import ReleaseRecord
from marketplace_release import TROUBLE

from tests.simulation.catalogue import HISTORY, Variant
from tests.simulation.droplet import simulated
from tests.simulation.gate import Fault, Plan
from tests.simulation.invariants import always, settled, told
from tests.simulation.operations import Ended, Work, beside, going_back, planning, run, settling, shipping
from tests.simulation.stage import Killed

# What somebody else may do while an operation is on its way.
OTHERS = ("release beside", "release behind", "rollback beside", "resume beside", "operator beside")


class Story:
    """One droplet from its first release on. Every method raises AssertionError at what must never be."""

    def __init__(self) -> None:
        self.droplet = droplet = simulated()
        droplet.settings["backend"] |= {"soak": 5, "keep_releases": 2, "ready_timeout": 6, "stop_grace": 5}
        # All is known to be settled, and nothing was in the way since.
        self.calm = True
        self.recorded: list[str] = []
        self.told: list[str] = []
        self.others: list[Any] = []
        # What may come of somebody else's attempt, beside its answer.
        self.expected: tuple[type[BaseException], ...] = (LockHeld,)
        for name in OTHERS:
            droplet.happenings[name] = lambda chance, name=name: self._beside(name, chance)

    # What happens.

    def release(self, variant: Variant, faults: Sequence[tuple[int, Fault]] = (), **how: Any) -> Ended:
        """Ship a variant, as ``how`` says."""
        self.droplet.push(variant.version, variant.image())
        expected = self._expected(variant, bool(how.get("maintenance"))) if self.calm and not faults else None
        before = self.droplet.database.content.copy()
        work = shipping(self.droplet, variant.version, **how)
        ended = self._do(work, faults, f"release {variant.version} {how}")
        if expected:
            record, after = ended.record, self.droplet.database.content
            assert record.outcome in expected, f"{record.outcome} ({record.reason}) instead of {expected}"
            if how.get("maintenance") and record.outcome in ("failed", "rolled_back"):
                same = (after.applied, after.half) == (before.applied, before.half)
                assert same, "the restore point was not used"
        return ended

    def plan(self, variant: Variant, faults: Sequence[tuple[int, Fault]] = ()) -> None:
        """Ask what a release would do: it says what the release would come to, and does nothing of it."""
        self.droplet.push(variant.version, variant.image())
        calm = self.calm and not faults
        refused = self._expected(variant, maintenance=False) == ("refused",)
        before = self.droplet.state()
        ended = self._do(planning(self.droplet, variant.version), faults, f"plan {variant.version}")
        if calm:
            assert ended.answer["would"] in (("refuse",) if refused else ("release", "unchanged")), (
                ended.answer
            )
            after = self.droplet.state()
            for part in ("files", "maps", "containers", "databases"):
                assert after[part] == before[part], part
            self.calm = True

    def rollback(self, back: int, faults: Sequence[tuple[int, Fault]] = (), **how: Any) -> Ended:
        """Go back: to the release before, or, ``back`` > 0, to the one so many live records ago."""
        lives = [record for record in self.droplet.world.ledger.newest() if record.outcome == "live"]
        target = lives[back].release if 0 < back < len(lives) else ""
        return self._do(going_back(self.droplet, target, **how), faults, f"rollback {target} {how}")

    def resume(self, faults: Sequence[tuple[int, Fault]] = ()) -> None:
        """What runs at boot; with nothing in the way all is well then, and stays so when it runs again."""
        ended = self._do(settling(self.droplet), faults, "resume")
        if faults:
            return
        assert ended.error is None, f"could not be resumed: {ended.error!r}"
        self._check(settled(self.droplet))
        before = self.droplet.state()
        assert run(self.droplet, settling(self.droplet)).error is None
        assert self.droplet.state() == before, "resumed twice is not resumed once"
        self.calm = True

    def power_fails(self, seed: int) -> None:
        """Nobody does anything, and the power fails."""
        self.told.append(f"power loss {seed}")
        self.droplet.power_fails(random.Random(seed))  # noqa: S311 - chance that can be repeated
        self.droplet.stage.enter()
        self.calm = False
        self._check(always(self.droplet))

    def crash(self) -> None:
        """Nobody does anything, and the live backend crashes."""
        self.told.append("crash")
        self.droplet.docker.crash(f"backend-{self.droplet.live}")
        self.calm = False

    def operator_closes(self, closed: bool) -> None:
        """An operator keeps updates out, or lets them in."""
        self.told.append(f"maintenance {closed}")
        self.droplet.edge.maintain("operator", closed)

    def settings_change(self, level: str) -> None:
        self.told.append(f"LOG_LEVEL={level}")
        self.droplet.settings["backend"]["environment"] = {"LOG_LEVEL": level}

    def registry(self, answers: bool) -> None:
        self.told.append(f"registry {answers}")
        self.droplet.docker.registry_answers = answers

    def ends(self) -> None:
        """Whatever was, the next release works, and so does the way back from it."""
        self.registry(True)
        self.operator_closes(False)
        self.resume()
        self.settings_change("the end")
        level = max(len(self.droplet.database.content.applied), 1)
        ended = self.release(Variant(level), maintenance=True)
        assert ended.record.outcome == "live", ended.record.reason
        self._check(settled(self.droplet))
        if len(self.recorded) % 2:
            back = self.rollback(0, maintenance=True, force_schema=True).record
            assert back.outcome in ("live", "failed", "refused"), back.reason
            self._check(settled(self.droplet))

    # How it is looked at.

    def _do(self, work: Work, faults: Sequence[tuple[int, Fault]], words: str) -> Ended:
        droplet = self.droplet
        self.told.append(f"{words} {[(at, fault.kind, fault.lasts) for at, fault in faults]}")
        self.others = []
        # A disk that stays full is everybody's.
        self.expected = (LockHeld, *(TROUBLE if any(fault.lasts for _, fault in faults) else ()))
        ended = run(droplet, work, Plan(at=dict(faults)))
        self.told.extend(f"    {line}" for line in ended.heard)
        self.told.append(
            f"  killed={ended.killed} {ended.error!r} {getattr(ended.answer, 'outcome', ended.answer)}"
        )
        assert ended.error is None or isinstance(ended.error, (LockHeld, *TROUBLE)), repr(ended.error)
        self.calm = self.calm and not faults and not ended.killed
        self._check(always(droplet))
        for other in self.others:
            assert other.error is None or isinstance(other.error, (*self.expected, Killed)), (
                f"somebody else: {other.error!r}"
            )
        if isinstance(ended.answer, ReleaseRecord) and not any(
            isinstance(other.answer, ReleaseRecord) and other.answer.outcome != "refused"
            for other in self.others
        ):
            self._check(told(droplet, ended.answer))
        ids = droplet.world.ledger.ids()
        missing = [release for release in self.recorded if release not in ids]
        assert not missing, f"records are gone: {missing}"
        self.recorded = ids
        return ended

    def _beside(self, name: str, chance: random.Random) -> None:
        """Somebody else acts. While the lock is held they are refused, and told by whom."""
        droplet = self.droplet
        owner = droplet.world.lock.owner  # type: ignore[attr-defined]
        good = Variant(chance.randint(1, 2))
        droplet.push(good.version, good.image())
        work = {
            "release beside": shipping(droplet, good.version, by="bob"),
            "release behind": shipping(droplet, good.version, by="bob", wait=900),
            "rollback beside": going_back(droplet, by="bob"),
            "resume beside": settling(droplet),
            "operator beside": lambda progress: droplet.edge.maintain("operator", chance.random() < 0.5),
        }[name]
        process = beside(droplet, work)
        self.others.append(process)
        if owner is None or not process.over or process.dead:
            return
        if process.error is not None and isinstance(process.error, self.expected[1:]):
            return
        if name == "release beside":
            assert process.answer is not None, repr(process.error)
            assert process.answer.outcome == "refused"
            assert f"by {owner['by']}" in process.answer.reason
        if name == "resume beside":
            assert isinstance(process.error, LockHeld)

    def _expected(self, variant: Variant, maintenance: bool) -> tuple[str, ...]:
        """The outcomes that are right for a release with nothing in the way."""
        if not self.droplet.docker.registry_answers:
            return ("refused",)
        there = len(self.droplet.database.content.applied)
        pending, beyond = HISTORY[there : variant.level], HISTORY[variant.level : there]
        if any(change.breaking for change in pending) and not maintenance:
            return ("refused",)
        if (variant.migration != "good" and pending) or any(change.breaks for change in beyond):
            return ("failed",)
        live = self.droplet.docker.there.get(f"backend-{self.droplet.live}")
        unchanged = ("unchanged",) if live and live.image.digest == variant.image().digest else ()
        if variant.behaviour in ("errors", "errors_later"):
            # Who keeps users out sees no error of theirs.
            closed = self.droplet.edge.closed or maintenance
            return ("rolled_back", *(("live",) if closed else ()), *unchanged)
        return (
            ("live", *unchanged)
            if variant.good or (not pending and variant.behaviour == "good")
            else ("failed", "rolled_back")
        )

    def _check(self, wrong: list[str]) -> None:
        assert not wrong, "\n".join([*wrong[:5], "--- the story:", *self.told])
