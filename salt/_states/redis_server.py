"""Redis as its files say, judged by what the server has loaded: its users, and how it listens."""

import time
from pathlib import Path
from typing import Any

from marketplace_paths import Paths
from marketplace_redis import Connection, LoginRefused, RedisError, Unproven, difference, directives, reach
from marketplace_secrets import Store, UnknownSecret, before_of
from marketplace_service_served import served, stored
from marketplace_undisturbed import Busy, undisturbed

_Where = tuple[str, int, int, tuple[str, str], Path]

_RESTART = "restart"
_CERTIFICATE = "certificate"
_FILES = ("tls-cert-file", "tls-key-file")
# No stop grace is longer than 900 s; docker waits for the container's own.
_RESTART_SECONDS = 1200


def users_loaded(
    name: str,
    host: str,
    port: int,
    plain_port: int,
    authority: str,
    operator: str,
    secret: str,
    container: str,
    allow_restart: bool = False,
) -> dict[str, Any]:
    """Ensure the server's users are those of its ACL file; load the file again if not.

    Only the operator may load users. Where the server does not know the operator's password of today, a restart makes
    it read the file; without ``allow_restart`` the state fails and says so.

    Args:
        name: the ACL file, as the host sees it.
        host: the server's address.
        port: the server's port for TLS.
        plain_port: its port without, which is asked where nothing listens for TLS yet.
        authority: file with the authorities by which the server is known.
        operator: a user that may read and load users.
        secret: name of the operator's password in the secret store.
        container: the server's container.
        allow_restart: whether the server may be restarted.
    """
    ret = _ret(name, "Redis knows the users of its file")
    try:
        wanted = Path(name).read_text().splitlines()
        where = (host, port, plain_port, (operator, Store(Paths().secrets).read(secret)), Path(authority))
        known = _known(where, secret)
        changes = _changes(known, wanted, allow_restart)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "Redis would load its users"}
        if _RESTART in changes:
            with undisturbed(Paths(), "state.apply"):
                _restart(container)
        else:
            with reach(*known) as connection:
                connection.command("ACL", "LOAD")
        remaining = _changes(where, wanted, False)
    except Busy as error:
        return ret | {"result": False, "comment": str(error)}
    except (RedisError, UnknownSecret, FileNotFoundError) as error:
        if __opts__["test"]:
            return ret | {"result": None, "comment": f"Redis does not run with its users yet: {error}"}
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        still = f"Redis has other users than its file: {remaining}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": "Redis loaded its users"}


def listening(
    name: str,
    host: str,
    port: int,
    plain_port: int,
    authority: str,
    certificate: str,
    operator: str,
    secret: str,
    container: str,
) -> dict[str, Any]:
    """Ensure the server listens as its file says, and serves the certificate that it was given; no restart.

    Args:
        name: the file, as the host sees it; the server reads it when it starts.
        host: the server's address.
        port: its port for TLS.
        plain_port: its port without, which is asked where nothing listens for TLS yet.
        authority: file with the authorities by which the server is known.
        certificate: file with the certificate it should serve, as the host sees it.
        operator: a user that may configure the server.
        secret: name of the operator's password in the secret store.
        container: the server's container, where it is told to read its certificate again if it serves one that nobody
            trusts any more.
    """
    ret = _ret(name, "Redis listens as its file says")
    try:
        wanted = directives(Path(name).read_text())
        expected = stored(Path(certificate))
        where = (host, port, plain_port, (operator, Store(Paths().secrets).read(secret)), Path(authority))
        changes = _listening_changes(where, wanted, expected)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "Redis would listen differently"}
        if _CERTIFICATE in changes:
            _read_files(container, where, wanted)
            changes |= _listening_changes(where, wanted, expected)
        words = [word for item in wanted.items() if item[0] in changes for word in item]
        if words:
            with reach(*where) as connection:
                connection.command("CONFIG", "SET", *words)
        remaining = _listening_changes(where, wanted, expected)
    except LoginRefused as error:
        return ret | {"comment": f"{error}. The state of its users sees to that"}
    except (RedisError, UnknownSecret, FileNotFoundError, ValueError) as error:
        if __opts__["test"]:
            return ret | {"result": None, "comment": f"Redis does not run as it should yet: {error}"}
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"Redis still listens differently: {remaining}",
        }
    return ret | {"changes": changes, "comment": "Redis listens as its file says"}


def mod_watch(name: str, sfun: str = "", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    if sfun == "users_loaded":
        return _users_predicted(name)
    ret = _ret(name, "Redis listens as its file says")
    if __opts__["test"]:
        changes = {"listening": {"old": "as before", "new": "as in its files"}}
        return ret | {"result": None, "changes": changes, "comment": "Redis would listen differently"}
    return ret


def _users_predicted(name: str) -> dict[str, Any]:
    """What is watched delivers other files as well: the users are others only where theirs would be."""
    ret = _ret(name, "Redis knows the users of its file")
    replaced = any(Path(name).name in row.get("changes", {}) for row in __running__.values())
    if not __opts__["test"] or not replaced:
        return ret
    changes = {"users": {"old": "as before", "new": "as in the file that would be replaced"}}
    return ret | {"result": None, "changes": changes, "comment": "Redis would load its users"}


def _ret(name: str, comment: str) -> dict[str, Any]:
    # Salt would ask mod_watch after a failure as well, and take its answer instead.
    return {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": comment,
    }


def _listening_changes(where: _Where, wanted: dict[str, str], expected: bytes) -> dict[str, Any]:
    """A certificate comes first and alone: with the wrong one nothing else can be asked."""
    if served(where[:2]) not in (None, expected):
        return {_CERTIFICATE: {"old": "another one is served", "new": "as delivered"}}
    with reach(*where) as connection:
        answer = connection.command("CONFIG", "GET", *wanted)
    words = [str(word) for word in answer] if isinstance(answer, list) else []
    found = dict(zip(words[::2], words[1::2], strict=True))
    return {
        key: {"old": found.get(key, ""), "new": value}
        for key, value in wanted.items()
        if found.get(key, "") != value
    }


def _read_files(container: str, where: _Where, wanted: dict[str, str]) -> None:
    """Have the server read its certificate again.

    One that has ended, or whose authority is gone, proves nothing: no password goes there by the network then. Inside
    its container the server needs no proof of who it is.
    """
    words = ["CONFIG", "SET", *(word for name in _FILES if name in wanted for word in (name, wanted[name]))]
    try:
        with reach(*where) as connection:
            connection.command(*words)
    except Unproven:
        client = ["docker", "exec", "--interactive", container, "redis-cli", "--tls", "--insecure"]
        result = __salt__["cmd.run_all"](
            [*client, "-p", str(where[1])],
            python_shell=False,
            stdin="\n".join([f"AUTH {' '.join(where[3])}", " ".join(words), ""]),
            output_loglevel="quiet",
            ignore_retcode=True,
        )
        if result["retcode"] or result["stdout"].split() != ["OK", "OK"]:
            raise RedisError(f"{container} did not read its certificate again: {result['stdout']}") from None


def _known(where: _Where, secret: str) -> _Where:
    """``where`` with a login that the server takes: that of before, while the operator's password is being replaced."""
    store = Store(Paths().secrets)
    host, port, plain_port, (operator, _), authority = where
    if not store.has(before_of(secret)):
        return where
    try:
        reach(*where).close()
    except LoginRefused:
        return host, port, plain_port, (operator, store.read(before_of(secret))), authority
    return where


def _changes(where: _Where, wanted: list[str], allow_restart: bool) -> dict[str, Any]:
    try:
        with reach(*where) as connection:
            return difference(_loaded(connection), wanted)
    except LoginRefused as error:
        if allow_restart:
            return {_RESTART: {"old": "another password of the operator", "new": "as in the file"}}
        hint = "Where its password changed, allow a restart: salt-call state.apply pillar='{\"allow_restart\": true}'"
        raise RedisError(f"{error}. {hint}") from error


def _restart(container: str) -> None:
    """Restart the server and wait until it has loaded its data."""
    result = __salt__["cmd.run_all"](
        ["docker", "restart", container], python_shell=False, timeout=_RESTART_SECONDS
    )
    if result["retcode"]:
        raise RedisError(f"docker restart {container} failed: {result['stderr']}")
    end = time.monotonic() + 120
    inspect = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container]
    while __salt__["cmd.run"](inspect, python_shell=False) != "healthy":
        if time.monotonic() > end:
            raise RedisError(
                f"{container} is not healthy after its restart; docker logs {container} shows why"
            )
        time.sleep(0.5)


def _loaded(connection: Connection) -> list[str]:
    answer = connection.command("ACL", "LIST")
    return [str(line) for line in answer] if isinstance(answer, list) else []
