"""``settings.*`` over salt-ssh: answered on the controller, where the pillar is."""

import sys
from pathlib import Path

# Salt shows modules and states the way to _utils, but not wrappers.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

import marketplace_settings_answers as answers

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
    """Replace secrets, on the droplet; only on one that has its pillar itself.

    CLI Example:

    .. code-block:: bash

        salt-ssh production settings.rotate webhook_secret
    """
    return __salt__["droplet.call"]("settings.rotate", *names)


def _answer(ask):
    try:
        return ask()
    except answers.Problems as wrong:
        __context__["retcode"] = 1
        return {"problems": wrong.problems}
