"""States from a controller: a droplet that has no pillar asks it for them in the middle of its work, and waits.

Who asks writes a line to the output that salt-call's answer will follow on; who applies them (_wrapper/settings.py)
writes how that went to the input. Where the connection ends the input does as well: nobody waits for a laptop that is
gone.
"""

import json
from collections.abc import Sequence
from typing import TextIO

from marketplace_salt import SaltCallError

_ASKING = "states wanted from the controller: "


def ask(states: Sequence[str], output: TextIO, answers: TextIO) -> None:
    """Have the controller apply states, and wait until it has.

    Args:
        states: their names.
        output: where the controller reads; answers: where it writes.

    Raises:
        SaltCallError: it has not, or is gone.
    """
    output.write(f"{_ASKING}{json.dumps(list(states))}\n")
    output.flush()
    try:
        said = json.loads(answers.readline())
    except ValueError:
        raise SaltCallError("the connection to the controller ended before it had applied them") from None
    if said is not None:
        raise SaltCallError(str(said))


def asked(line: str) -> list[str] | None:
    """The states that a line of the droplet's output asks for; None where it is another line."""
    if not line.startswith(_ASKING):
        return None
    return [str(name) for name in json.loads(line.removeprefix(_ASKING))]


def answer(failure: str | None) -> str:
    """The line that tells the droplet how it went: None for well, else why not."""
    return f"{json.dumps(failure)}\n"
