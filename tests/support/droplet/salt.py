"""salt-call on a machine, as data."""

from __future__ import annotations

import json
from typing import Any

from .errors import CommandFailed, DropletError
from .machine import Line, Machine, Result


def call(machine: Machine, *argv: str, line: Line | None = None, timeout: float | None = None) -> tuple[Any, Result]:
    """Run ``salt-call --out=json <argv>``. Returns what the function returned, and the run itself.

    Args:
        machine: with Salt installed.
        argv: function and its arguments, for example ``"state.apply", "test=True"``.
        line: see :meth:`Machine.run`.
        timeout: seconds.

    Raises:
        DropletError: there is no JSON on standard output (the exit status is the caller's to judge).
    """
    # --retcode-passthrough is what makes the exit status that of the states and not only of the call.
    command = ["salt-call", "--out=json", "--retcode-passthrough", *argv]
    result = machine.run(command, check=False, line=line, timeout=timeout)
    try:
        return json.loads(result.stdout)["local"], result
    except (ValueError, KeyError) as error:
        raise CommandFailed(machine.name, command, result.returncode, result.stdout, result.stderr) from error


def apply(machine: Machine, *argv: str, line: Line | None = None) -> dict[str, Any]:
    """``salt-call state.apply <argv>``. Returns the states' results by their id in the low data.

    Raises:
        DropletError: a state failed (each is named with its comment), or nothing was applied at all.
    """
    states, result = call(machine, "state.apply", *argv, line=line)
    if not isinstance(states, dict):
        raise DropletError(f"state.apply was refused: {states}")
    failed = [f"{state['__id__']}: {state['comment']}" for state in states.values() if state["result"] is False]
    if failed or not result.ok:
        raise DropletError(f"state.apply exited with {result.returncode}:\n" + "\n".join(failed))
    return states


def changed(states: dict[str, Any]) -> dict[str, Any]:
    """The states that changed something, or would: id -> changes (or comment, where there are none yet)."""
    return {
        state["__id__"]: state["changes"] or state["comment"]
        for state in states.values()
        if state["changes"] or state["result"] is None
    }
