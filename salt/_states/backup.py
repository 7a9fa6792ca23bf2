"""The database's log is received, and there is a backup to begin with.

The engine on the droplet takes it, by its own ``salt-call``, whichever transport this state came by.
"""

import subprocess
from pathlib import Path

from marketplace_backup_world import BackupWorld
from marketplace_backups import kinds
from marketplace_barman import BarmanError
from marketplace_database import DatabaseError
from marketplace_paths import Paths
from marketplace_restore_begun import undecided
from marketplace_salt import STATES_SECONDS, SaltCallError, function

__virtualname__ = "backup"

# A receiver that was just started connects within a second; one that waited for PostgreSQL, within ten.
_SECONDS = 30
_AT_WORK = ("active", "activating", "reloading", "deactivating")


def __virtual__():
    return __virtualname__


def received(name):
    """Ensure that the log of the PostgreSQL server ``name`` is received, from boot on.

    Not while a restore in its place is unfinished that may still be given up: what the restored server writes would
    lead the backups away from the old data.

    name
        The server, as Barman knows it.
    """
    unit = f"barman-receive-wal@{name}.service"
    world = _world()
    changes = {}
    if _systemctl("is-enabled", "--quiet", unit)["retcode"]:
        changes["enabled"] = {"old": False, "new": True}
    try:
        if not world.receiver.look().active:
            changes["received"] = {"old": False, "new": True}
    except DatabaseError as error:
        if not __opts__["test"]:
            return {"name": name, "result": False, "changes": {}, "comment": str(error)}
        changes["received"] = {"old": False, "new": True}
    if not changes:
        return {"name": name, "result": True, "changes": {}, "comment": f"The log of {name} is received"}
    waiting = undecided(world.paths)
    if waiting:
        return {"name": name, "result": False, "changes": {}, "comment": waiting}
    if __opts__["test"]:
        return {
            "name": name,
            "result": None,
            "changes": changes,
            "comment": f"The log of {name} would be received",
        }
    try:
        if world.receiver.is_replaced():
            world.receiver.start_over()
    except (DatabaseError, BarmanError, subprocess.SubprocessError) as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    started = _systemctl("enable", "--now", "--quiet", unit)
    if started["retcode"]:
        return {"name": name, "result": False, "changes": {}, "comment": started["stderr"]}
    if not world.clock.wait_until(lambda: _receives(world.receiver), timeout=_SECONDS):
        comment = f"Nobody receives the log of {name} after {_SECONDS} s; see: systemctl status {unit}"
        return {"name": name, "result": False, "changes": changes, "comment": comment}
    return {"name": name, "result": True, "changes": changes, "comment": f"The log of {name} is received now"}


def not_received(name):
    """Ensure that nobody receives the log of the PostgreSQL server ``name``, now or from boot on.

    A receiver whose server is gone is waiting to be started again: stopped it is as well, for ``service.dead`` takes it
    for dead.

    name
        The server, as Barman knows it.
    """
    unit = f"barman-receive-wal@{name}.service"
    ret = {"name": name, "result": True, "changes": {}, "comment": f"Nobody receives the log of {name}"}
    changes = {}
    if not _systemctl("is-enabled", "--quiet", unit)["retcode"]:
        changes["enabled"] = {"old": True, "new": False}
    if _systemctl("is-active", unit)["stdout"].strip() in _AT_WORK:
        changes["received"] = {"old": True, "new": False}
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{unit} would be stopped for good"}
    stopped = _systemctl("disable", "--now", "--quiet", unit)
    if stopped["retcode"]:
        return ret | {"result": False, "comment": stopped["stderr"]}
    return ret | {"changes": changes, "comment": f"{unit} was stopped for good"}


def present(name):
    """Ensure that there is a good backup of everything, however old; of a database that moved, one of where it is now.

    name
        A sentence.
    """
    settings = __pillar__["settings"]
    try:
        there = {
            backup.kind for backup in _world().catalogue.all() if backup.good and backup.of_now(settings)
        }
        missing = [kind for kind in kinds(settings) if kind not in there]
    except ValueError as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    if not missing:
        return {"name": name, "result": True, "changes": {}, "comment": "There are good backups"}
    changes = {kind: {"old": None, "new": "backed up"} for kind in missing}
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": changes, "comment": "A first backup would be taken"}
    try:
        answer = function("backup.create", timeout=STATES_SECONDS)
    except SaltCallError as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    if answer["outcome"] != "good":
        return {
            "name": name,
            "result": False,
            "changes": {},
            "comment": f"The first backup {answer['outcome']}: {answer['reason']}",
        }
    return {
        "name": name,
        "result": True,
        "changes": changes,
        "comment": f"A first backup was taken in {answer['seconds']} s",
    }


def _receives(receiver):
    """Whether it does by now; a PostgreSQL that does not answer just then is asked again."""
    try:
        return receiver.look().active
    except DatabaseError:
        return False


def _systemctl(*words):
    return __salt__["cmd.run_all"](["systemctl", *words], python_shell=False, ignore_retcode=True)


def _world():
    return BackupWorld.of(Paths(Path(__opts__.get("marketplace_root", "/"))))
