"""What the journal is told of a run of Salt: what was called, by whom, how it ended. Pure."""

import json
from collections.abc import Mapping
from typing import Any

_SHOWN = 20


def record(answer: Mapping[str, Any], by: str) -> tuple[bool, str]:
    """Whether the run went well, and the line that is logged of it: JSON, as an application's (docs/contract.md).

    Args:
        answer: what Salt hands to returners; by: who asked.
    """
    code = int(answer.get("retcode") or 0)
    words = " ".join([str(answer.get("fun", "")), *map(_argument, answer.get("fun_args") or ())])
    outcome = "went well" if code == 0 else f"failed with exit code {code}"
    line: dict[str, Any] = {
        "level": "error" if code else "info",
        "message": f"{words} {outcome}",
        "by": by,
        "jid": str(answer.get("jid", "")),
    }
    return code == 0, json.dumps(line | _states(answer.get("return")))


def _argument(argument: Any) -> str:
    """A word as it was typed; pillar given by hand may hold a secret."""
    text = str(argument)
    name, mark, _ = text.partition("=")
    return f"{name}=..." if mark and name.startswith("pillar") else text


def _states(answer: Any) -> dict[str, Any]:
    """How many states there were, and which of them changed something or failed."""
    if not isinstance(answer, dict) or not all("_|-" in str(name) for name in answer) or not answer:
        return {}
    states = [state for state in answer.values() if isinstance(state, dict)]
    found: dict[str, Any] = {"states": len(states)}
    for name, chosen in (
        ("changed", [state for state in states if state.get("changes")]),
        ("failed", [state for state in states if state.get("result") is False]),
    ):
        found[name] = len(chosen)
        if chosen:
            found[f"{name}_states"] = [str(state.get("__id__")) for state in chosen[:_SHOWN]]
    return found
