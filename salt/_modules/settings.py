"""The effective settings: what they are, where each comes from, and what is wrong with them."""

import os
import sys
from pathlib import Path
from typing import Any

import marketplace_settings_answers as answers
from marketplace_arguments import caller
from marketplace_controller import ask
from marketplace_lock import Lock, LockHeld
from marketplace_managed import theirs
from marketplace_paths import Paths
from marketplace_rotation import DATABASE_LOGIN, WAYS, RotationError, refusal
from marketplace_rotation import rotate as replace
from marketplace_rotation_hands import DropletHands
from marketplace_salt import apply
from marketplace_secrets import Store
from marketplace_settings_guard import settings_for_change
from marketplace_terminal import view
from marketplace_trust import unencrypted_release
from marketplace_undisturbed import busy
from marketplace_world import World

_ELSEWHERE = (
    "the pillar of this droplet is on its controller, and new secrets need states between their steps: type it there,"
    " salt-ssh TARGET settings.rotate"
)
_PLAIN = (
    "the live release speaks to PostgreSQL without TLS, and would be turned away meanwhile: deploy.release of a version"
    " that uses TLS comes first"
)
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


def rotate(*names: str, controller: dict[str, Any] | None = None) -> dict[str, Any]:
    """Replace secrets that were generated on the droplet by new ones, without losing an update.

    For a while both values are taken. What the running backend reads when it starts comes with a release of the live
    version. One that was cut off, or failed, goes on when it is asked for again; until then both are taken, and
    deploy.status shows it as pending.

    Args:
        names: ``webhook_secret``, ``webhook_path``, ``redis_app_password``, ``redis_operator_password``,
            ``redis_monitoring_password``, ``postgres_app_password``, ``postgres_owner_password``,
            ``postgres_backup_password``, ``postgres_monitoring_password``, ``postgres_superuser_password``.
            ``all`` of them; none: only go on.
        controller: from salt-ssh alone, which applies the states where the droplet has no pillar: what its settings
            gate says of pillar and tree there.

    Returns ``outcome`` (``rotated``, ``unfinished`` or ``refused``), ``secrets``, the ``release`` that it took (or ""),
    and a ``reason``. Exit code 1 unless it is ``rotated``.

    CLI Example:

    .. code-block:: bash

        salt-call settings.rotate webhook_secret webhook_path
        salt-call settings.rotate all
    """
    away = (__pillar__.get("settings_gate") or {}).get("source") == "none"
    if away and controller is None:
        return _failed("refused", _ELSEWHERE)
    settings, why = settings_for_change({"settings_gate": controller} if away else __pillar__, _paths())
    if settings is None:
        return _failed("refused", why)
    wanted = (
        [name for name in WAYS if settings["secrets"].get(name) == "generated"]
        if names == ("all",)
        else list(names)
    )
    unfit = refusal(wanted, settings["secrets"], theirs(settings))
    if unfit:
        return _failed("refused", unfit)
    world, store, by = World.of(_paths()), Store(_paths().secrets), caller(os.environ)
    hands = DropletHands(world, settings, by, _from_controller if away else apply)
    try:
        begun = hands.noted()
    except RotationError as error:
        return _unfinished(error)
    if not wanted and not begun:
        return _failed("refused", f"which secrets? One or more of {', '.join(WAYS)}, or all")
    occupied = busy(_paths())
    if occupied:
        return _failed("refused", occupied)
    if DATABASE_LOGIN in {*wanted, *begun} and unencrypted_release(_paths()):
        return _failed("refused", _PLAIN)
    lock = Lock(_paths().rotation_lock, "rotation", "wait for it, then ask again")
    try:
        with lock.held(by, "settings.rotate"), view(sys.stderr, "New secrets") as progress:
            answer = replace(wanted, store, hands, progress.say)
    except LockHeld as error:
        return _failed("refused", str(error))
    except (RotationError, OSError) as error:
        return _unfinished(error) if _begun(hands) else _failed("refused", str(error))
    told = f"{by} replaced {', '.join(answer['secrets'])}"
    world.spool.try_emit("settings.rotated", "info", told, answer | {"by": by})
    return answer


def _begun(hands):
    """Whether secrets are being replaced; taken for granted where nobody can tell."""
    try:
        return bool(hands.noted())
    except RotationError:
        return True


def _unfinished(error):
    return _failed("unfinished", f"{error}. Both values are taken: settings.rotate goes on")


def _from_controller(*states):
    ask(states, sys.stdout, sys.stdin)


def _failed(outcome, reason):
    __context__["retcode"] = 1
    return {"outcome": outcome, "reason": reason}


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))


def _answer(ask):
    try:
        return ask()
    except answers.Problems as wrong:
        __context__["retcode"] = 1
        return {"problems": wrong.problems}
