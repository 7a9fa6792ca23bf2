"""Takes backups, looks them through, and says what there is.

What is backed up: the database (base backups, and its log as it is written: any second of the last
``backup:keep_days`` days can be restored) and the cache's snapshots. docs/backups.md says how.

Every function returns plain data; a failing one sets a non-zero exit code and still returns its data. Progress goes to
stderr.
"""

import os
import random
import sys
import time
from pathlib import Path

from marketplace_arguments import Unusable, caller, nothing_else, seconds
from marketplace_backup_create import create as take
from marketplace_backup_status import status
from marketplace_backup_verify import verify as look_through
from marketplace_backup_world import TROUBLE, WHERE, BackupWorld
from marketplace_barman import BarmanError
from marketplace_durable import read_json
from marketplace_lock import LockHeld
from marketplace_paths import Paths
from marketplace_settings_guard import refusal
from marketplace_signals import interruptible
from marketplace_terminal import view

__virtualname__ = "backup"
__func_alias__ = {"list_": "list"}
__outputter__ = {"list_": "table"}

_FAILURES = (LockHeld, BarmanError, *TROUBLE)


def __virtual__():
    return __virtualname__


def create(jitter=0, **unknown):
    """Take a backup of the database and the cache, look all backups through, and let go of those that are too old.

    jitter
        Begin some seconds later, up to so many (default 0): for cron, so that not every droplet begins at once.

    Returns ``outcome`` (``good``, ``failed`` or ``refused``), ``reason``, ``seconds``, ``steps`` and ``backups``. Exit
    code 1 unless it is good. A part that fails does not keep the others from being taken.

    CLI Example:

    .. code-block:: bash

        salt-call backup.create
    """
    try:
        nothing_else(unknown, ("jitter",))
        longest = seconds("jitter", jitter, 3600)
    except Unusable as error:
        return _refused(str(error))
    why = refusal(__pillar__, _paths().settings)
    settings = read_json(_paths().settings)
    if why or settings is None:
        return _refused(why or "this droplet is not converged yet: run state.apply")
    time.sleep(random.uniform(0, longest))  # noqa: S311
    try:
        with view(sys.stderr, "Backup") as progress, interruptible():
            answer = take(_world(), settings, progress, caller(os.environ))
            progress.summary(answer)
    except KeyboardInterrupt as error:
        return _refused(
            f"{error}: stopped; what was complete by then is kept, and the rest is cleared by the next one"
        )
    except _FAILURES as error:
        return _refused(str(error))
    if answer["outcome"] != "good":
        __context__["retcode"] = 1
    return answer


def list_():
    """Every complete backup, newest first: what, when, how large (bytes), when it was last looked through, and where.

    CLI Example:

    .. code-block:: bash

        salt-call backup.list
        salt-call backup.list --out=json
    """
    try:
        return [backup.row(WHERE) for backup in _world().catalogue.all()]
    except _FAILURES as error:
        return _refused(str(error))


def verify(**unknown):
    """Look all backups through: every file is as it was, every log segment can be read, and none is missing.

    Returns ``outcome`` (``good``, ``bad`` or ``refused``), ``problems`` (one sentence each, naming what is wrong),
    ``past`` (the same of the log before the newest base backup, which can't be mended), ``backups`` and ``segments``
    (how many were looked at), ``until`` (the last log segment that can be restored to). Exit code 1 unless it is good.

    CLI Example:

    .. code-block:: bash

        salt-call backup.verify
    """
    try:
        nothing_else(unknown, ())
        with view(sys.stderr, "Looking the backups through") as progress, interruptible():
            progress.begin("verify")
            found = look_through(_world(), progress, caller(os.environ))
    except KeyboardInterrupt as error:
        return _refused(f"{error}: stopped")
    except (Unusable, *_FAILURES) as error:
        return _refused(str(error))
    bad = bool(found["problems"] or found["past"])
    if bad:
        __context__["retcode"] = 1
    return {"outcome": "bad" if bad else "good", **found}


def check():
    """Whether the backups can be relied on: the newest is recent, none is broken, and the log is received.

    What is wrong is also told as an event (``backup.trouble``), once a day. Cron asks every hour. Exit code 1 where
    something is wrong.

    CLI Example:

    .. code-block:: bash

        salt-call backup.check
    """
    world = _world()
    try:
        found = status(world)
    except _FAILURES as error:
        return _refused(str(error))
    if found["trouble"]:
        __context__["retcode"] = 1
        words = "; ".join(found["trouble"])
        today = f"{world.clock.now():%Y%m%d}-{len(found['trouble'])}"
        world.spool.emit("backup.trouble", "critical", words, {"trouble": found["trouble"]}, subject=today)
    return found


def _refused(reason):
    __context__["retcode"] = 1
    return {"outcome": "refused", "reason": reason}


def _world():
    return BackupWorld.of(_paths())


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
