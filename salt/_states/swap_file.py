"""A swap file of a fixed size, in use now and from every boot."""

from pathlib import Path
from typing import Any

from marketplace_allocate import allocate, allocated, check_room
from marketplace_durable import write_atomic
from marketplace_systemd import escape_path, swap_service

_UNITS = Path("/etc/systemd/system")
_SWAPS = Path("/proc/swaps")


def active(name: str, size: int) -> dict[str, Any]:
    """Ensure the swap file ``name`` of ``size`` bytes is in use; another size replaces it.

    The old one goes before the new one is made: there need not be room for both, and for a moment there is no swap.
    Where there is too little room for the new one, the old one stays in use.

    Args:
        name: the file.
        size: bytes.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"{name} is in use"}
    changes = _changes(name, size)
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would be put to use"}
    try:
        _replace(name, size, changes)
    except OSError as error:
        return ret | {"result": False, "comment": str(error)}
    remaining = _changes(name, size)
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"{name} is still not in use: {remaining}",
        }
    return ret | {"changes": changes, "comment": f"{name} was put to use"}


def absent(name: str) -> dict[str, Any]:
    """Ensure the swap file ``name`` is neither used nor there.

    Args:
        name: the file.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"There is no {name}"}
    unit = _UNITS / _unit(name)
    there = [str(path) for path in (Path(name), unit) if path.exists()]
    if not there:
        return ret
    changes = {path: {"old": "there", "new": None} for path in there}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would be removed"}
    try:
        if _in_use(name):
            _run("swapoff", name)
        if unit.exists():
            _run("systemctl", "--quiet", "disable", "--now", unit.name)
            unit.unlink()
            _run("systemctl", "daemon-reload")
        Path(name).unlink(missing_ok=True)
    except OSError as error:
        return ret | {
            "result": False,
            "comment": f"{error}: is there memory for what is in it? Stop what needs it",
        }
    return ret | {"changes": changes, "comment": f"{name} was removed"}


def _changes(name: str, size: int) -> dict[str, Any]:
    file = Path(name)
    unit = _UNITS / _unit(name)
    held = file.stat().st_size if file.exists() else None
    changes: dict[str, Any] = {}
    if held != size:
        changes["size"] = {"old": held, "new": size}
    if not unit.exists() or unit.read_text() != swap_service(name):
        changes["unit"] = {"old": None, "new": unit.name}
    if not (_UNITS / "swap.target.wants" / unit.name).is_symlink():
        changes["enabled"] = {"old": False, "new": True}
    if not _in_use(name):
        changes["in use"] = {"old": False, "new": True}
    return changes


def _unit(name: str) -> str:
    return f"swap-{escape_path(name)}.service"


def _in_use(name: str) -> bool:
    return any(line.split(" ")[0] == name for line in _SWAPS.read_text().splitlines())


def _replace(name: str, size: int, changes: dict[str, Any]) -> None:
    unit = _unit(name)
    if "size" in changes:
        _make(name, size)
    if "unit" in changes:
        write_atomic(_UNITS / unit, swap_service(name))
    _run("systemctl", "daemon-reload")
    _run("systemctl", "--quiet", "enable", unit)
    # Restarted: what was swapped off by hand leaves the unit active.
    if not _in_use(name):
        _run("systemctl", "restart", unit)


def _make(name: str, size: int) -> None:
    """Under another name first, so that a run killed half way leaves no file of the right size that is no swap."""
    file, unfinished = Path(name), Path(f"{name}.unfinished")
    unfinished.unlink(missing_ok=True)
    check_room(file, size, allocated(file))
    if _in_use(name):
        _run("swapoff", name)
    file.unlink(missing_ok=True)
    try:
        allocate(unfinished, size)
        _run("mkswap", "--quiet", str(unfinished))
        unfinished.rename(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _run(*command: str) -> None:
    result = __salt__["cmd.run_all"](list(command), python_shell=False)
    if result["retcode"]:
        raise OSError(f"{' '.join(command)} failed: {result['stderr'] or result['stdout']}")
