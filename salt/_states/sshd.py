"""The SSH server: a drop-in that is proven before it is in place, and a server that runs with what is on disk."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from marketplace_admission import answers
from marketplace_durable import write_atomic
from marketplace_sshd import administrators, effective, includes, moved, overruled, text, with_keys
from marketplace_systemd import Unit, forgive_future
from salt.utils.path import which

_MAIN = Path("/etc/ssh/sshd_config")
_SERVICE, _SOCKET = "ssh.service", "ssh.socket"
_SHOW = ("LoadState", "ActiveState", "NeedDaemonReload", "StateChangeTimestampMonotonic", "ReloadResult")
_KEY_FILES = [".ssh/authorized_keys", ".ssh/authorized_keys2"]


class _Failure(Exception):
    pass


def configured(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Ensure that a drop-in file says ``options`` and that each of them is in force.

    Fails, and changes nothing, where the whole configuration would be refused, something else decides an option, or
    passwords would be switched off while nobody who administers the host has a key.

    Args:
        name: the file, in a directory that sshd_config includes.
        options: keyword -> value, or a list of values for a keyword that repeats.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": f"{name} is in force",
    }
    file, wanted = Path(name), text(options)
    current = file.read_text(errors="replace") if file.exists() else None
    try:
        if current == wanted:
            _refuse_overruled(name, options, "-f", str(_MAIN))
            return ret
        _refuse_lockout(options)
        if which("sshd") and _MAIN.exists():
            _prove(file, wanted, options)
        elif not __opts__["test"]:
            raise _Failure("There is no SSH server: install openssh-server")
    except _Failure as failure:
        return ret | {"result": False, "comment": str(failure)}
    changes = {name: {"old": current, "new": wanted}}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would be written"}
    write_atomic(file, wanted, 0o600)
    return ret | {"changes": changes, "comment": f"{name} was written"}


def current(name: str, port: int = 22) -> dict[str, Any]:
    """Ensure that the running server has read its configuration since it last changed; reload it if not.

    Args:
        name: the drop-in that matters most; all of the server's configuration is looked at.
        port: where the server answers.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": "The SSH server is current",
    }
    files = [_MAIN, Path(name).parent, *sorted(Path(name).parent.glob("*.conf"))]
    changes = _stale(files)
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": "The SSH server would be reloaded"}
    try:
        _sshd("-t")
        _systemctl("daemon-reload")
        _systemctl("enable", "--now", _SERVICE) if "service" in changes else _systemctl("reload", _SERVICE)
        forgive_future(files)
        # It may still be busy reading.
        _await(lambda: answers(port) and not _stale(files))
    except _Failure as failure:
        return ret | {"result": False, "comment": str(failure)}
    if remaining := _stale(files):
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"The SSH server is not current: {remaining}",
        }
    if not answers(port):
        hint = "journalctl -u ssh -n 50 shows why; do not close the session that you have"
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"No SSH server answers on {port}: {hint}",
        }
    return ret | {"changes": changes, "comment": "The SSH server read its configuration anew"}


def mod_watch(name: str, sfun: str = "", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "The SSH server is current",
    }
    if __opts__["test"]:
        changes = {"configuration": {"old": "as read", "new": "read anew"}}
        return ret | {"result": None, "changes": changes, "comment": "The SSH server would be reloaded"}
    return ret


def _refuse_lockout(options: dict[str, Any]) -> None:
    if str(options.get("PasswordAuthentication", "")).lower() != "no":
        return
    found = effective(_sshd("-T")) if which("sshd") and _MAIN.exists() else {}
    for source in ("authorizedkeyscommand", "trustedusercakeys"):
        if found.get(source, ["none"]) != ["none"]:
            return
    files = " ".join(found.get("authorizedkeysfile", [" ".join(_KEY_FILES)])).split()
    people = administrators()
    if not with_keys(people, files):
        names = ", ".join(account.name for account in people)
        raise _Failure(
            f"Passwords stay on: none of {names} has an authorised key, so nobody could log in any more. Put your "
            "public key (~/.ssh/id_ed25519.pub) into /root/.ssh/authorized_keys (mode 0600), then apply again"
        )


def _prove(file: Path, wanted: str, options: dict[str, Any]) -> None:
    """Read the whole configuration as it would be with the new file in it."""
    main = _MAIN.read_text()
    if not includes(main, file.parent):
        raise _Failure(
            f"{_MAIN} does not begin with 'Include {file.parent}/*.conf': put that line back at its top"
        )
    with tempfile.TemporaryDirectory(prefix="sshd-", dir="/run") as scratch:
        directory = Path(scratch, file.parent.name)
        directory.mkdir()
        for other in file.parent.glob("*.conf"):
            shutil.copyfile(other, directory / other.name)
        (directory / file.name).write_text(wanted)
        trial = Path(scratch, "sshd_config")
        trial.write_text(moved(main, file.parent, directory))
        try:
            _sshd("-t", "-f", str(trial))
            _refuse_overruled(str(file), options, "-f", str(trial))
        except _Failure as failure:
            raise _Failure(str(failure).replace(f"{directory}/", f"{file.parent}/")) from None


def _refuse_overruled(name: str, options: dict[str, Any], *arguments: str) -> None:
    wrong = overruled(options, effective(_sshd("-T", *arguments)))
    if wrong:
        listed = "; ".join(f"{keyword} is {value}" for keyword, value in wrong.items())
        first = sorted(path.name for path in Path(name).parent.glob("*.conf") if path.name < Path(name).name)
        hint = (
            f"a file that is read before it ({', '.join(first)})"
            if first
            else "a file that is read before it"
        )
        raise _Failure(f"{name} does not decide: {listed}. Take that out of {hint}")


def _sshd(*arguments: str) -> str:
    # Without it the server refuses to say anything; its own unit makes it only while it runs.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    result = __salt__["cmd.run_all"]([which("sshd"), *arguments], python_shell=False, ignore_retcode=True)
    if result["retcode"]:
        raise _Failure(f"sshd refuses the configuration, which stays as it was: {result['stderr']}")
    return str(result["stdout"])


def _systemctl(*arguments: str) -> str:
    result = __salt__["cmd.run_all"](["systemctl", *arguments], python_shell=False, ignore_retcode=True)
    if result["retcode"]:
        raise _Failure(f"systemctl {' '.join(arguments)} failed: {result['stderr']}")
    return str(result["stdout"])


def _stale(files: list[Path]) -> dict[str, Any]:
    """What the running server lacks of the files; nothing where each connection starts its own."""
    shown = _show(_SERVICE)
    unit = Unit.parse(shown.replace("StateChangeTimestampMonotonic", "ActiveEnterTimestampMonotonic"))
    if not unit.active:
        if Unit.parse(_show(_SOCKET)).active:
            return {}
        return {"service": {"old": "stopped", "new": "started and enabled"}}
    newest = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    # A reload is a change of the unit's state, also one that failed.
    if unit.older_than(newest, time.time(), time.monotonic()) or "ReloadResult=success" not in shown:
        return {"configuration": {"old": "as read", "new": "read anew"}}
    return {}


def _show(unit: str) -> str:
    result = __salt__["cmd.run_all"](
        ["systemctl", "show", unit, f"--property={','.join(_SHOW)}"], python_shell=False, ignore_retcode=True
    )
    return str(result["stdout"])


def _await(condition: Any) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
