"""Units that run with what is on disk, judged by the running unit and not by what this run happened to change."""

import time
from pathlib import Path
from typing import Any

from marketplace_systemd import forgive_future, full, unit_of


def _run(argv: list[str]) -> str:
    return str(__salt__["cmd.run_all"](argv, python_shell=False, ignore_retcode=True)["stdout"])


def _newest(files: list[str]) -> float:
    return max((Path(file).stat().st_mtime for file in files if Path(file).exists()), default=0.0)


def _wanted(name: str, files: list[str], restart: bool, anew: bool = False) -> dict[str, dict[str, str]]:
    kept = None if anew else __context__
    unit = unit_of(full(name), _run, kept, __lowstate__, __running__)
    changes = {}
    if unit.needs_reload:
        changes["definition"] = {"old": "older than on disk", "new": "reloaded"}
    if restart and unit.older_than(_newest(files), time.time(), time.monotonic()):
        changes["process"] = {"old": "older than its configuration", "new": "restarted"}
    return changes


def current(name: str, files: list[str] | None = None, restart: bool = True) -> dict[str, Any]:
    """Ensure that a unit runs with its definition and configuration of today.

    The unit's start is compared with the files' times, so a restart that failed in an earlier run is made up for.

    Args:
        name: the unit, with its suffix.
        files: configuration that the unit reads only when it starts.
        restart: whether a running unit older than ``files`` is restarted; otherwise only systemd re-reads definitions.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": f"{name} is current",
    }
    files = files or []
    changes = _wanted(name, files, restart)
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would be brought up to date"}
    commands = [["systemctl", "daemon-reload"]] if "definition" in changes else []
    if "process" in changes:
        commands.append(["systemctl", "restart", name])
    for command in commands:
        result = __salt__["cmd.run_all"](command, python_shell=False)
        if result["retcode"]:
            hint = f"journalctl -u {name} -n 50 shows why"
            return ret | {
                "result": False,
                "comment": f"{' '.join(command)} failed: {result['stderr']} ({hint})",
            }
    forgive_future(files)
    remaining = _wanted(name, files, restart, anew=True)
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"{name} is still not current: {remaining}",
        }
    return ret | {"changes": changes, "comment": f"{name} was brought up to date"}


def manager(name: str, value: str) -> dict[str, Any]:
    """Ensure that systemd itself works with a default that a file in /etc/systemd/system.conf.d gives it.

    Args:
        name: the default, as ``systemctl show`` names it.
        value: what it should be.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": f"{name} is {value}",
    }
    now = _default(name)
    if now == value:
        return ret
    changes = {name: {"old": now, "new": value}}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would become {value}"}
    __salt__["cmd.run_all"](["systemctl", "daemon-reload"], python_shell=False)
    if (still := _default(name)) != value:
        return ret | {
            "result": False,
            "comment": f"{name} is {still} and not {value}, also after a daemon-reload",
        }
    return ret | {"changes": changes, "comment": f"{name} is {value} now"}


def _default(name: str) -> str:
    shown = __salt__["cmd.run_all"](
        ["systemctl", "show", "--value", f"--property={name}"], python_shell=False, ignore_retcode=True
    )
    return str(shown["stdout"]).strip()


def mod_watch(name: str, sfun: str = "", restart: bool = True, **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"{name} is current"}
    if sfun == "manager":
        # Judged already: what systemd works with tells more than a file that is about to change.
        return ret
    if __opts__["test"]:
        change = {"definition": {"old": "older than on disk", "new": "reloaded"}}
        if restart:
            change = {"process": {"old": "older than its configuration", "new": "restarted"}}
        return ret | {"result": None, "changes": change, "comment": f"{name} would be brought up to date"}
    return ret
