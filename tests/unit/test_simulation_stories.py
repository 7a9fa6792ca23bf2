"""Stories: releases, rollbacks, resumes and whatever may happen, in any order, as hypothesis thinks them up.

`make unit` tries the same 500 each time, so that what fails is a change and not bad luck. SIMULATION=10000 tries so
many other ones; a failure prints the story, and what to write down to see it again.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.simulation.catalogue import HISTORY, Variant
from tests.simulation.gate import Fault
from tests.simulation.quick import quick
from tests.simulation.story import OTHERS, Story

STORIES = int(os.environ.get("SIMULATION", "0"))

KINDS = (
    "kill",
    "power",
    "fail",
    "late",
    "hang",
    "signal",
    "crash",
    "haproxy",
    "clock",
    "withdraw",
    "reboot",
    *OTHERS,
)
faults = st.lists(
    st.tuples(
        st.integers(1, 330),
        st.builds(Fault, st.sampled_from(KINDS), st.integers(0, 999), st.sampled_from((0, 0, 0, 3, 30))),
    ),
    max_size=2,
)
good = st.builds(Variant, st.integers(1, len(HISTORY)), worker=st.booleans())
bad = st.one_of(
    st.builds(
        Variant,
        st.integers(1, len(HISTORY)),
        st.sampled_from(
            ("exits", "never_ready", "wrong_version", "errors", "errors_later", "crashes_later", "oom")
        ),
    ),
    st.builds(
        Variant,
        st.integers(2, len(HISTORY)),
        migration=st.sampled_from(("fails", "half", "lies", "hangs")),
    ),
)


class Stories(RuleBasedStateMachine):
    """What may be done, and what may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()

    @initialize(variant=st.builds(Variant, st.integers(1, 2), worker=st.booleans()))
    def first(self, variant: Variant) -> None:
        self.story.release(variant)

    @rule(variant=good, faults=faults, maintenance=st.booleans())
    def release(self, variant: Variant, faults: list[tuple[int, Fault]], maintenance: bool) -> None:
        self.story.release(variant, faults, maintenance=maintenance)

    @rule(variant=bad, faults=faults, maintenance=st.booleans())
    def bad_release(self, variant: Variant, faults: list[tuple[int, Fault]], maintenance: bool) -> None:
        self.story.release(variant, faults, maintenance=maintenance)

    @rule(back=st.integers(0, 4), faults=faults, maintenance=st.booleans(), force=st.booleans())
    def rollback(self, back: int, faults: list[tuple[int, Fault]], maintenance: bool, force: bool) -> None:
        self.story.rollback(back, faults, maintenance=maintenance, force_schema=force)

    @rule(variant=good, faults=faults)
    def plan(self, variant: Variant, faults: list[tuple[int, Fault]]) -> None:
        self.story.plan(variant, faults)

    @rule(faults=faults)
    def resume(self, faults: list[tuple[int, Fault]]) -> None:
        self.story.resume(faults)

    @rule(seed=st.integers(0, 999))
    def power_fails(self, seed: int) -> None:
        self.story.power_fails(seed)

    @rule()
    def crash(self) -> None:
        self.story.crash()

    @rule(closed=st.booleans())
    def operator(self, closed: bool) -> None:
        self.story.operator_closes(closed)

    @rule(level=st.sampled_from(("info", "debug")))
    def other_settings(self, level: str) -> None:
        self.story.settings_change(level)

    @rule(answers=st.booleans())
    def registry(self, answers: bool) -> None:
        self.story.registry(answers)

    def teardown(self) -> None:
        self.story.ends()


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


@pytest.mark.timeout(7200)
def test_stories() -> None:
    run_state_machine_as_test(
        Stories,
        settings=settings(
            max_examples=STORIES or 500,
            stateful_step_count=8,
            derandomize=not STORIES,
            deadline=None,
            database=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
