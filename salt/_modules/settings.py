"""The effective settings: what they are, where each comes from, and what is wrong with them."""

from typing import Any

import marketplace_settings_answers as answers

__outputter__ = {"show": "settings_table", "diff": "settings_table"}


def check() -> list[str]:
    """Every problem of the pillar, each with its path, what is wrong and what to try; an empty list where all is well.

    The exit code is 1 where there are problems.

    CLI Example:

    .. code-block:: bash

        salt-call settings.check
    """
    problems = answers.problems(__pillar__)
    if problems:
        __context__["retcode"] = 1
    return problems


def show(section: str = "") -> dict[str, Any]:
    """The effective settings, each with its value and its origin.

    A table for people; ``--out=json`` has sizes in bytes and durations in seconds. The origin is the pillar's file
    that says the value (or includes what does), ``default``, or ``derived``. Of secrets it is shown whether they are
    given or generated, and never a value.

    Args:
        section: only settings whose path starts with it, such as ``postgres`` or ``postgres.limits``.

    Where the pillar has problems, or no setting has that path, the answer is ``{"problems": [...]}`` and the exit
    code 1.

    CLI Example:

    .. code-block:: bash

        salt-call settings.show
        salt-call settings.show postgres.limits
        salt-call settings.show --out=json
    """
    return _answer(lambda: answers.show(__opts__, __pillar__, section))


def diff(ours: str, theirs: str) -> dict[str, Any]:
    """What two environments differ in: settings by path, and below each the value and origin in either environment.

    Works in every checkout, without a droplet and its secrets: what a host has in ``pillar/local`` is left out, and a
    setting that is wrong or missing shows its problem. What only follows from other settings is left out too.

    Args:
        ours, theirs: names of directories in pillar, such as ``staging`` and ``production``.

    Where there is no such environment the answer is ``{"problems": [...]}`` and the exit code 1. Differences are no
    failure.

    CLI Example:

    .. code-block:: bash

        salt-call settings.diff staging production
        SALT_MINION_CONFIG=$PWD/minion.conf salt-call --id production settings.diff staging production
    """
    return _answer(lambda: answers.diff(__opts__, ours, theirs))


def _answer(ask):
    try:
        return ask()
    except answers.Problems as wrong:
        __context__["retcode"] = 1
        return {"problems": wrong.problems}
