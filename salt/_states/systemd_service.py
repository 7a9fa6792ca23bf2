"""Services, timers and sockets that run, start at boot, or must not: all of a run's units are asked for at once.

Salt's own ``service`` asks systemd some four times for each, which is most of a run that finds nothing to do.
"""

import time
from dataclasses import dataclass
from typing import Any

from marketplace_systemd import Unit, full, unit_of

# A unit that systemd is about to start again, as a service that ended a moment ago, gets so many seconds to come up.
_COMING_UP = 3.0


@dataclass(frozen=True)
class _Wish:
    """One aspect of a unit: what it is called, how it should be, in words, and what makes it so."""

    aspect: str
    fact: str
    wanted: bool
    old: str
    new: str
    command: str

    def open(self, unit: Unit) -> bool:
        return getattr(unit, self.fact) is not self.wanted


# The drift report makes its words of an aspect and ``old``.
_RUNS = _Wish("activity", "active", True, "stopped", "running", "start")
_DEAD = _Wish("activity", "active", False, "running", "stopped", "stop")
_AT_BOOT = _Wish("boot", "enabled", True, "not started", "started", "enable")
_NOT_AT_BOOT = _Wish("boot", "enabled", False, "started", "not started", "disable")
_MASKED = _Wish("mask", "masked", True, "not masked", "masked", "mask")


def running(name: str, enable: bool | None = None) -> dict[str, Any]:
    """Ensure that a unit runs.

    Args:
        name: the unit; without a suffix, the service.
        enable: whether it is started at boot; None leaves that as it is.
    """
    return _converge(name, [*_boot(enable), _RUNS])


def dead(name: str, enable: bool | None = None) -> dict[str, Any]:
    """Ensure that a unit does not run. There need not be one.

    Args:
        name, enable: as for :func:`running`.
    """
    return _converge(name, [*_boot(enable), _DEAD])


def enabled(name: str) -> dict[str, Any]:
    """Ensure that a unit is started at boot; whether it runs now is left as it is.

    Args:
        name: the unit; without a suffix, the service.
    """
    return _converge(name, [_AT_BOOT])


def disabled(name: str) -> dict[str, Any]:
    """Ensure that a unit is not started at boot; whether it runs now is left as it is. There need not be one.

    Of a unit that nobody enables (static, an alias) systemd disables nothing, and this fails.

    Args:
        name: the unit; without a suffix, the service.
    """
    return _converge(name, [_NOT_AT_BOOT])


def masked(name: str) -> dict[str, Any]:
    """Ensure that nothing starts a unit; one that runs is left alone. There need not be one.

    Args:
        name: the unit; without a suffix, the service.
    """
    return _converge(name, [_MASKED])


def _boot(enable: bool | None) -> list[_Wish]:
    return [] if enable is None else [_AT_BOOT if enable else _NOT_AT_BOOT]


def _converge(name: str, wishes: list[_Wish]) -> dict[str, Any]:
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"{name} is as it should be",
    }
    unit = _settled(full(name), unit_of(full(name), _run, __context__, __lowstate__, __running__))
    todo = [wish for wish in wishes if wish.open(unit)]
    if not todo:
        return ret
    changes = {wish.aspect: {"old": wish.old, "new": wish.new} for wish in todo}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would be changed"}
    if not (unit.loaded or unit.file or _MASKED in todo):
        words = (
            f"{name}: systemd knows no such unit; expected a package or an earlier state to have brought it"
        )
        return ret | {"result": False, "comment": words}
    for wish in todo:
        command = ["systemctl", wish.command, full(name)]
        done = __salt__["cmd.run_all"](command, python_shell=False)
        if done["retcode"]:
            said = done["stderr"] or done["stdout"]
            words = f"{' '.join(command)} failed: {said} (journalctl -u {full(name)} -n 50 shows why)"
            return ret | {"result": False, "comment": words}
    unit = _settled(full(name), unit_of(full(name), _run))
    left = [wish for wish in wishes if wish.open(unit)]
    if left:
        words = (
            f"{name} is still {', '.join(wish.old for wish in left)}; systemctl status {full(name)} shows why"
        )
        return ret | {"result": False, "changes": changes, "comment": words}
    return ret | {"changes": changes, "comment": f"{name}: {', '.join(wish.new for wish in todo)}"}


def _settled(name: str, unit: Unit) -> Unit:
    """``unit`` when it is not about to be started any more."""
    end = time.monotonic() + _COMING_UP
    while unit.activating and time.monotonic() < end:
        time.sleep(0.1)
        unit = unit_of(name, _run)
    return unit


def _run(argv: list[str]) -> str:
    return str(__salt__["cmd.run_all"](argv, python_shell=False, ignore_retcode=True)["stdout"])
