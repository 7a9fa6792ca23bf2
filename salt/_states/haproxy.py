"""HAProxy serving with the configuration on disk, judged by when its worker started."""

import socket
import time
from pathlib import Path
from typing import Any

_SOCKET = "/run/haproxy/admin.sock"
_DEADLINE = 10.0


def _worker_started(admin_socket: str) -> float | None:
    """When the serving worker started (seconds since the epoch, whole); None when nothing answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(admin_socket)
            connection.sendall(b"show info\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    except OSError:
        return None
    pairs = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
    return float(pairs["Start_time_sec"]) if "Start_time_sec" in pairs else None


def _changes(files: list[str], admin_socket: str) -> dict[str, Any]:
    started = _worker_started(admin_socket)
    if started is None:
        return {"worker": {"old": f"does not answer on {admin_socket}", "new": "serving"}}
    newest = max((Path(file).stat().st_mtime for file in files if Path(file).exists()), default=0.0)
    # The worker tells whole seconds: one that started in the second of the change is taken for older.
    if started <= int(newest):
        return {"worker": {"old": "older than its configuration", "new": "reloaded"}}
    return {}


def current(name: str, files: list[str] | None = None, admin_socket: str = _SOCKET) -> dict[str, Any]:
    """Ensure that the serving worker was started with the configuration on disk; reload (without loss) if not.

    Args:
        name: the configuration file.
        files: more files that only a reload reads.
        admin_socket: the worker's admin socket.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "HAProxy serves with this file",
    }
    watched = [name, *(files or [])]
    changes = _changes(watched, admin_socket)
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
    if not _await(lambda: not _changes(watched, admin_socket)):
        hint = "journalctl -u haproxy -n 50 shows why; the old worker keeps serving"
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"HAProxy did not take its new file: {hint}",
        }
    return ret | {"changes": changes, "comment": "HAProxy was reloaded"}


def _await(condition: Any) -> bool:
    """Poll until ``condition`` holds or the deadline passes."""
    end = time.monotonic() + _DEADLINE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def mod_watch(name: str, **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
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
