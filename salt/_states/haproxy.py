"""HAProxy serving with the configuration on disk, judged by when its worker started."""

import time
from pathlib import Path
from typing import Any

from marketplace_edge import Edge, EdgeError
from marketplace_edge_serving import commit, fingerprint, loaded

_SOCKET = "/run/haproxy/admin.sock"
_DEADLINE = 10.0


def _worker_started() -> float | None:
    """When the serving worker started (seconds since the epoch, whole); None when nothing answers."""
    try:
        answer = _edge().command("show info")
    except EdgeError:
        return None
    pairs = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
    return float(pairs["Start_time_sec"]) if "Start_time_sec" in pairs else None


def _changes(files: list[str]) -> dict[str, Any]:
    started = _worker_started()
    if started is None:
        return {"worker": {"old": f"does not answer on {_SOCKET}", "new": "serving"}}
    newest = max((Path(file).stat().st_mtime for file in files if Path(file).exists()), default=0.0)
    # The worker tells whole seconds: one that started in the second of the change is taken for older.
    if started <= int(newest):
        return {"worker": {"old": "older than its configuration", "new": "reloaded"}}
    return {}


def current(name: str, files: list[str] | None = None) -> dict[str, Any]:
    """Ensure that the serving worker was started with the configuration on disk; reload (without loss) if not.

    Args:
        name: the configuration file.
        files: more files that only a reload reads.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": "HAProxy serves with this file",
    }
    watched = [name, *(files or [])]
    changes = _changes(watched)
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": "HAProxy would be reloaded"}
    # A reload within the second of the change could not be told from an older worker.
    newest = max((Path(file).stat().st_mtime for file in watched if Path(file).exists()), default=0.0)
    _await(lambda: time.time() >= int(newest) + 1)
    result = __salt__["cmd.run_all"](["systemctl", "reload-or-restart", "haproxy"], python_shell=False)
    if result["retcode"]:
        return ret | {"result": False, "comment": f"HAProxy could not be reloaded: {result['stderr']}"}
    if not _await(lambda: not _changes(watched)):
        hint = "journalctl -u haproxy -n 50 shows why; the old worker keeps serving"
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"HAProxy did not take its new file: {hint}",
        }
    return ret | {"changes": changes, "comment": "HAProxy was reloaded"}


def certificate_served(name: str) -> dict[str, Any]:
    """Ensure that the running HAProxy serves the certificate that is in its file, without a reload.

    Args:
        name: the file, with certificates and key, that its configuration names.

    CLI Example:

    .. code-block:: bash

        salt-call state.single haproxy.certificate_served /etc/haproxy/certs/bot.example.com.pem
    """
    ret: dict[str, Any] = {"name": name, "skip_watch": not __opts__["test"], "changes": {}, "result": True}
    file = Path(name)
    try:
        if __opts__["test"] and not (file.exists() and Path(_SOCKET).exists()):
            return ret | {"comment": "HAProxy will read the certificate when it starts"}
        pem = file.read_text()
        found, wanted = loaded(_edge(), file), fingerprint(pem)
        if found == wanted:
            return ret | {"comment": "HAProxy serves the certificate of this file"}
        if found is None and __opts__["test"]:
            return ret | {"comment": "HAProxy will read the certificate when it is reloaded"}
        changes = {"certificate": {"old": found or "none", "new": wanted}}
        if __opts__["test"]:
            return ret | {
                "result": None,
                "changes": changes,
                "comment": "HAProxy would be given the certificate",
            }
        commit(_edge(), file, pem)
        if loaded(_edge(), file) != wanted:
            return ret | {
                "result": False,
                "changes": changes,
                "comment": "HAProxy still serves another certificate",
            }
    except (OSError, EdgeError, ValueError) as error:
        return ret | {"result": False, "comment": f"{name}: {error}"}
    return ret | {"changes": changes, "comment": "HAProxy was given the certificate"}


def _edge() -> Edge:
    return Edge(Path("/none"), Path("/none"), Path(_SOCKET))


def _await(condition: Any) -> bool:
    """Poll until ``condition`` holds or the deadline passes."""
    end = time.monotonic() + _DEADLINE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def mod_watch(name: str, sfun: str = "current", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    if sfun == "certificate_served":
        ret = {
            "name": name,
            "changes": {},
            "result": True,
            "comment": "HAProxy serves the certificate of this file",
        }
        if not __opts__["test"]:
            return ret
        changes = {"loaded": {"old": "as before", "new": "the certificate of the file"}}
        return ret | {"result": None, "changes": changes, "comment": "HAProxy would be given the certificate"}
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "HAProxy serves with this file",
    }
    if __opts__["test"]:
        changes = {"worker": {"old": "as loaded", "new": "reloaded"}}
        return ret | {"result": None, "changes": changes, "comment": "HAProxy would be reloaded"}
    return ret
