"""``settings.*`` over salt-ssh: answered on the controller, where the pillar is."""

import sys
from pathlib import Path

# Salt shows modules and states the way to _utils, but not wrappers.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

import marketplace_settings_answers as answers
from marketplace_controller import answer, asked
from marketplace_salt import SaltCallError, outcome
from marketplace_settings_guard import problems_text
from salt.client.ssh.wrapper import SSHException
from salt.fileclient import FSClient

__virtualname__ = "settings"
__outputter__ = {"show": "settings_table", "diff": "settings_table"}


def __virtual__():
    return __virtualname__


def check():
    """Every problem of the target's pillar.

    CLI Example:

    .. code-block:: bash

        salt-ssh production settings.check
    """
    problems = answers.problems(__opts__["pillar"])
    if problems:
        __context__["retcode"] = 1
    return problems


def show(section=""):
    """The target's effective settings, each with its origin.

    CLI Example:

    .. code-block:: bash

        salt-ssh production settings.show postgres
    """
    return _answer(lambda: answers.show(__opts__, __opts__["pillar"], section))


def diff(ours, theirs):
    """What two environments of this checkout differ in.

    CLI Example:

    .. code-block:: bash

        salt-ssh production settings.diff staging production
    """
    return _answer(lambda: answers.diff(__opts__, ours, theirs))


def rotate(*names):
    """Replace secrets, on the droplet. Where it has no pillar of its own, the states in between are applied from here.

    CLI Example:

    .. code-block:: bash

        salt-ssh production settings.rotate webhook_secret
    """
    problems = answers.problems(__opts__["pillar"])
    if problems:
        __context__["retcode"] = 1
        return {"outcome": "refused", "reason": problems_text(problems)}
    gate = __opts__["pillar"]["settings_gate"]
    return __salt__["droplet.attend"](_states, "settings.rotate", *names, controller=gate)


def _states(line):
    """Apply the states that the droplet asks for, and say how that went; None where it asks for none."""
    states = asked(line)
    return None if states is None else answer(_failure(states))


def _failure(states):
    """Why states were not applied; None where they were."""
    # Salt closes it behind a run of states, and counts on one run a process.
    __context__["fileclient"] = FSClient(__context__["master_opts"])
    try:
        found = __salt__["state.apply"](",".join(states))
    except SSHException as error:
        # States that fail are an exception here, and Salt keeps in it what they said.
        found = {"local": error.to_ret()}
    try:
        outcome(found["local"]["return"] if isinstance(found, dict) else found)
    except SaltCallError as error:
        return str(error)
    except (KeyError, TypeError, AttributeError):
        return f"state.apply gave no answer: {found}"
    return None


def _answer(ask):
    try:
        return ask()
    except answers.Problems as wrong:
        __context__["retcode"] = 1
        return {"problems": wrong.problems}
