"""Debian packages, installed without recommendations, upgraded, removed, or purged.

Salt's own ``pkg.installed`` fetches the package lists even under test=True, and does not wait for another apt: on a
fresh droplet the first boot's upgrades are often still running.
"""

import functools
import re
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from marketplace_dpkg import QUERY, statuses
from marketplace_durable import read_json
from salt.exceptions import CommandExecutionError

_LOCK_SECONDS = 300
# A configuration file that a state has written stays, and dpkg asks nobody.
_APT = (
    "apt-get", "--quiet", "--quiet", "--yes", f"--option=DPkg::Lock::Timeout={_LOCK_SECONDS}",
    "--option=DPkg::Options::=--force-confdef", "--option=DPkg::Options::=--force-confold",
)  # fmt: skip
_FINISH = ["dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"]
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
# What is only recommended or suggested by something else came for the sake of what needs it.
_STRICT = (
    "--option=APT::AutoRemove::RecommendsImportant=no",
    "--option=APT::AutoRemove::SuggestsImportant=no",
)
_REFRESHED = "apt_package.refreshed"
_KNOWN = "apt_package.known"


def _answered(state: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``state`` with a verdict where dpkg or apt can't be asked, and not a traceback."""

    @functools.wraps(state)
    def told(name: str, *arguments: Any, **more: Any) -> dict[str, Any]:
        try:
            return state(name, *arguments, **more)
        except CommandExecutionError as error:
            return {"name": name, "changes": {}, "result": False, "comment": str(error)}

    return told


@_answered
def installed(name: str, pkgs: list[str]) -> dict[str, Any]:
    """Ensure packages are installed; the lists are fetched once a run, and only when something is missing.

    Args:
        name: a sentence.
        pkgs: names of packages.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "All packages are installed",
    }
    missing = _missing(pkgs)
    if not missing:
        return ret
    changes = {package: {"old": None, "new": "installed"} for package in missing}
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": changes,
            "comment": f"Would be installed: {', '.join(missing)}",
        }
    commands = [[*_APT, "install", "--no-install-recommends", *missing]]
    if not __context__.get(_REFRESHED):
        commands.insert(0, [*_APT, "update"])
    for command in commands:
        result = _run(command)
        if result["retcode"]:
            hint = "Check the network and /etc/apt/sources.list*, then apply again."
            return ret | {
                "result": False,
                "comment": f"apt could not install {', '.join(missing)}. {hint}\n{_why(result)}",
            }
        __context__[_REFRESHED] = True
    remaining = _missing(pkgs)
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"Still not installed: {', '.join(remaining)}",
        }
    return ret | {"changes": changes, "comment": f"Installed: {', '.join(missing)}"}


@_answered
def removed(name: str, pkgs: list[str], before: str = "") -> dict[str, Any]:
    """Ensure packages are not installed; what they have written and been configured with stays.

    Args:
        name: a sentence.
        pkgs: names of packages.
        before: a JSON file whose ``packages`` were installed before any of these: none of them goes. Where there is no
            such file yet, whatever is installed was. Where it says nothing, those before were removed by earlier runs.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "None of these packages is installed, but for those that were here before",
    }
    kept: Collection[str] = ()
    if before:
        record = read_json(Path(before))
        kept = pkgs if record is None else record.get("packages") or ()
    absent = _missing(pkgs)
    present = [package for package in pkgs if package not in absent and package not in kept]
    if not present:
        return ret
    changes = {package: {"old": "installed", "new": None} for package in present}
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": changes,
            "comment": f"Would be removed: {', '.join(present)}",
        }
    result = _run([*_APT, "remove", *present])
    if result["retcode"]:
        why = _why(result)
        return ret | {"result": False, "comment": f"apt could not remove {', '.join(present)}.\n{why}"}
    absent = _missing(present)
    remaining = [package for package in present if package not in absent]
    if remaining:
        still = f"Still installed: {', '.join(remaining)}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": f"Removed: {', '.join(present)}"}


@_answered
def purged(name: str, pkgs: list[str], before: str) -> dict[str, Any]:
    """Ensure that packages are gone with their configuration, and what came with them for their sake.

    Args:
        name: a sentence.
        pkgs: names of packages.
        before: a JSON file whose ``packages`` were installed before any of these: none of them goes. Where it says
            nothing, nobody knows, and none is purged.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "None of these packages is installed, but for those that were here before",
    }
    known = (read_json(Path(before)) or {}).get("packages")
    if known is None:
        return ret | {"comment": "It is not known which packages were here before, so all stay"}
    goes, refused = _going([package for package in pkgs if package not in known], set(known))
    if refused:
        return ret | {
            "result": False,
            "comment": f"These are not ours and would go as well: {', '.join(refused)}",
        }
    if not goes:
        return ret
    changes = {package: {"old": "installed", "new": None} for package in goes}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"Would be purged: {', '.join(goes)}"}
    result = _run([*_APT, "purge", *goes])
    if result["retcode"]:
        return ret | {"result": False, "comment": f"apt could not purge {', '.join(goes)}.\n{_why(result)}"}
    remaining = _purgeable(goes)
    if remaining:
        still = f"Still there: {', '.join(remaining)}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": f"Purged: {', '.join(goes)}"}


def _going(pkgs: list[str], known: set[str]) -> tuple[list[str], list[str]]:
    """What apt would purge with ``pkgs``, and those of it that others had before or asked for since.

    What nobody needed before that is somebody else's to remove.
    """
    present = _purgeable(pkgs)
    if not present:
        return [], []
    orphans = _leaving("autoremove")
    goes = [package for package in _leaving("purge", "--autoremove", *present) if package not in orphans]
    asked_for = set(_run(["apt-mark", "showmanual"])["stdout"].split()) - set(pkgs)
    return sorted({*goes, *present}), sorted((known | asked_for).intersection(goes))


def _leaving(*arguments: str) -> list[str]:
    """What apt would remove: lines such as ``Purg runc [1.1]`` of a simulation.

    Raises:
        CommandExecutionError: apt can't tell.
    """
    simulation = _run(["apt-get", "--simulate", "--yes", *_STRICT, *arguments])
    if simulation["retcode"]:
        raise CommandExecutionError(f"apt could not tell what would go.\n{_why(simulation)}")
    return re.findall(r"^(?:Remv|Purg) (\S+) ", simulation["stdout"], re.MULTILINE)


def _purgeable(pkgs: list[str]) -> list[str]:
    """Those of ``pkgs`` that are installed, or have left their configuration."""
    return [package for package in pkgs if _statuses().get(package) in ("installed", "config-files")]


@_answered
def upgraded(name: str, pkgs: list[str]) -> dict[str, Any]:
    """Ensure that those of ``pkgs`` that are installed are at their newest version; none is added.

    Under test=True the package lists are taken as they are.

    Args:
        name: a sentence.
        pkgs: names of packages.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "All packages are at their newest",
    }
    missing = _missing(pkgs)
    present = [package for package in pkgs if package not in missing]
    # A held package is upgraded because somebody asked for it.
    held = "--allow-change-held-packages"
    upgrade = [*_APT, "install", "--only-upgrade", "--no-install-recommends", held, *present]
    if not present:
        return ret | {"comment": "None of these packages is installed"}
    if not __opts__["test"]:
        result = _run([*_APT, "update"])
        if result["retcode"]:
            return ret | {
                "result": False,
                "comment": f"apt could not fetch its lists: {result['stderr'].strip()}",
            }
    simulate = ["apt-get", "--simulate", *upgrade[3:]]
    simulation = _run(simulate)
    if simulation["retcode"]:
        return ret | {
            "result": False,
            "comment": f"apt could not tell what is newer.\n{_why(simulation)}",
        }
    changes = _newer(simulation["stdout"])
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": changes,
            "comment": f"Would be upgraded: {', '.join(changes)}",
        }
    result = _run(upgrade)
    if result["retcode"]:
        why = _why(result)
        return ret | {"result": False, "comment": f"apt could not upgrade {', '.join(changes)}.\n{why}"}
    remaining = _newer(_run(simulate)["stdout"])
    if remaining:
        still = f"Still not at their newest: {', '.join(remaining)}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": f"Upgraded: {', '.join(changes)}"}


def _newer(simulation: str) -> dict[str, Any]:
    """What ``apt-get --simulate`` would upgrade: lines such as ``Inst runc [1.1] (1.2 Debian:13/stable [amd64])``."""
    found = re.findall(r"^Inst (\S+) \[([^]]+)\] \((\S+)", simulation, re.MULTILINE)
    return {package: {"old": old, "new": new} for package, old, new in found}


def _run(command: list[str]) -> dict[str, Any]:
    """Run apt; again where it was in somebody's way, or where one before it was cut off.

    Its own waiting covers dpkg's lock only, not the one on the package lists: those are tried again. Where a power loss
    or a kill has cut dpkg off, apt does nothing before what it left half configured is finished.
    """
    end, finished = time.monotonic() + _LOCK_SECONDS, False
    while True:
        result = _once(command)
        if not result["retcode"]:
            return result
        if "dpkg was interrupted" in result["stderr"] and not finished:
            finished = True
            _once(_FINISH)
        elif "Could not get lock" in result["stderr"] and time.monotonic() <= end:
            time.sleep(2)
        else:
            return result


def _once(command: list[str]) -> dict[str, Any]:
    __context__.pop(_KNOWN, None)
    result: dict[str, Any] = __salt__["cmd.run_all"](
        command, python_shell=False, env=_ENVIRONMENT, timeout=1800, ignore_retcode=True
    )
    return result


def _why(result: dict[str, Any]) -> str:
    """The end of what apt said."""
    return "\n".join((result["stderr"] or result["stdout"]).strip().splitlines()[-8:])


def _missing(pkgs: list[str]) -> list[str]:
    """Those of ``pkgs`` that dpkg does not have installed, in order."""
    return [package for package in pkgs if _statuses().get(package) != "installed"]


def _statuses() -> dict[str, str]:
    """Package -> dpkg's word for it. Asked once for all states of a run, until the run has dpkg do something.

    Raises:
        CommandExecutionError: dpkg can't tell.
    """
    if _KNOWN not in __context__:
        result = __salt__["cmd.run_all"](list(QUERY), python_shell=False)
        if result["retcode"]:
            raise CommandExecutionError(f"dpkg could not tell what is installed.\n{_why(result)}")
        __context__[_KNOWN] = statuses(result["stdout"])
    known: dict[str, str] = __context__[_KNOWN]
    return known
