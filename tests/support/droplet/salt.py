"""Salt's commands on a machine, and what their answers mean."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from .machine import Machine, Result

ON_RECORD = "Ensure what was applied is on record"
"""Changes with the first complete run behind another pillar: who restores it by one SLS leaves that to the next."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a function returned, with the command's exit code and what it said to people."""

    value: Any
    returncode: int
    stderr: str
    seconds: float

    @property
    def failed(self) -> dict[str, str]:
        """Of a state run: id -> comment of every state that failed."""
        return {state["__id__"]: state["comment"] for state in self.states if state["result"] is False}

    @property
    def changed(self) -> dict[str, Any]:
        """Of a state run: id -> changes of every state that changed something, or would."""
        return {
            state["__id__"]: state["changes"]
            for state in self.states
            if state["changes"] or state["result"] is None
        }

    @property
    def states(self) -> list[dict[str, Any]]:
        """Of a state run: every state's result. A run that did not compile has a list of errors instead."""
        assert isinstance(self.value, dict), f"the run did not compile: {self.value}"
        return list(self.value.values())


def call(machine: Machine, function: str, *arguments: str) -> Answer:
    """Call a function by the machine's salt-call."""
    return parse(
        machine.run(["salt-call", "--out=json", "--retcode-passthrough", function, *arguments], check=False)
    )


def parse(result: Result, key: str = "local") -> Answer:
    """The answer in a command's output; ``key`` is the minion's id under salt-ssh."""
    try:
        value = json.loads(result.stdout)[key]
    except (ValueError, KeyError) as error:
        raise AssertionError(f"no answer: {result}") from error
    return Answer(value, result.returncode, result.stderr, result.seconds)
