"""Redis users that are in force as the ACL file says, judged by what the server has loaded."""

import time
from pathlib import Path
from typing import Any

from marketplace_paths import Paths
from marketplace_redis import Connection, LoginRefused, RedisError, difference
from marketplace_secrets import Store, UnknownSecret

_RESTART = "restart"
# No stop grace is longer than 900 s; docker waits for the container's own.
_RESTART_SECONDS = 1200


def users_loaded(
    name: str, host: str, port: int, operator: str, secret: str, container: str, allow_restart: bool = False
) -> dict[str, Any]:
    """Ensure the server's users are those of its ACL file; load the file again if not.

    Only the operator may load users. Where the server does not know the operator's password of today, a restart makes
    it read the file; without ``allow_restart`` the state fails and says so.

    Args:
        name: the ACL file, as the host sees it.
        host: the server's address.
        port: the server's port.
        operator: a user that may read and load users.
        secret: name of the operator's password in the secret store.
        container: the server's container.
        allow_restart: whether the server may be restarted.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "Redis knows the users of its file",
    }
    try:
        wanted = Path(name).read_text().splitlines()
        login = (operator, Store(Paths().secrets).read(secret))
        changes = _changes((host, port), login, wanted, allow_restart)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "Redis would load its users"}
        if _RESTART in changes:
            _restart(container)
        else:
            with Connection((host, port), *login) as connection:
                connection.command("ACL", "LOAD")
        remaining = _changes((host, port), login, wanted, False)
    except (RedisError, UnknownSecret, FileNotFoundError) as error:
        if __opts__["test"]:
            return ret | {"result": None, "comment": f"Redis does not run with its users yet: {error}"}
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        still = f"Redis has other users than its file: {remaining}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": "Redis loaded its users"}


def _changes(
    address: tuple[str, int], login: tuple[str, str], wanted: list[str], allow_restart: bool
) -> dict[str, Any]:
    try:
        with Connection(address, *login) as connection:
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
