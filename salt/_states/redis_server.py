"""Redis users that are in force as the ACL file says, judged by what the server has loaded."""

from pathlib import Path
from typing import Any

from marketplace_paths import Paths
from marketplace_redis import Connection, RedisError, difference
from marketplace_secrets import Store, UnknownSecret


def users_loaded(name: str, host: str, port: int, operator: str, secret: str) -> dict[str, Any]:
    """Ensure the server's users are those of its ACL file; load the file again if not.

    Args:
        name: the ACL file, as the host sees it.
        host: the server's address.
        port: the server's port.
        operator: a user that may read and load users.
        secret: name of the operator's password in the secret store.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "Redis knows the users of its file",
    }
    try:
        wanted = Path(name).read_text().splitlines()
        with Connection((host, port), operator, Store(Paths().secrets).read(secret)) as connection:
            changes = difference(_loaded(connection), wanted)
            if not changes:
                return ret
            if __opts__["test"]:
                return ret | {"result": None, "changes": changes, "comment": "Redis would load its users"}
            connection.command("ACL", "LOAD")
            remaining = difference(_loaded(connection), wanted)
    except (RedisError, UnknownSecret, FileNotFoundError) as error:
        if __opts__["test"]:
            return ret | {"result": None, "comment": f"Redis does not run with its users yet: {error}"}
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        still = f"Redis has other users than its file: {remaining}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": "Redis loaded its users"}


def _loaded(connection: Connection) -> list[str]:
    answer = connection.command("ACL", "LIST")
    return [str(line) for line in answer] if isinstance(answer, list) else []
