"""PostgreSQL in a container: its configuration in effect, its roles, database and grants.

Every state asks once, compares here, and writes only what differs, through psql's standard input.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketplace_database import Database, DatabaseDown, DatabaseError
from marketplace_docker import Docker
from marketplace_paths import Paths
from marketplace_pending import record
from marketplace_postgres import Access, Role, difference, identifier, parse, question, statements
from marketplace_secrets import Store, UnknownSecret
from marketplace_service_served import served, stored
from marketplace_undisturbed import Busy, undisturbed

# No stop grace is longer than 900 s; docker waits for the container's own.
_RESTART_SECONDS = 1200
# A database is made, and roles are waited for that somebody else is changing.
_WRITE_SECONDS = 600
_CONFIGURATION = """SELECT json_build_object(
  'loaded', extract(epoch FROM pg_conf_load_time()),
  'errors', (SELECT coalesce(json_agg(concat(sourcefile, ' line ', sourceline, ': ', name, ' ', error)), '[]')
             FROM pg_file_settings WHERE error IS NOT NULL AND error <> 'setting could not be applied'),
  'access', (SELECT coalesce(json_agg(concat(file_name, ' line ', line_number, ': ', error)), '[]')
             FROM pg_hba_file_rules WHERE error IS NOT NULL
               -- True until the settings are loaded that switch it on; the certificate that is served is looked at.
               AND error <> 'hostssl record cannot match because SSL is disabled'),
  'pending', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
  -- By ALTER SYSTEM, which wins over the files; a restore leaves how it has replayed the log.
  'by_hand', (SELECT coalesce(json_object_agg(name, setting), '{}') FROM pg_file_settings
              WHERE sourcefile LIKE '%/postgresql.auto.conf' AND name !~ '^(recovery|restore|archive|primary)_'));
"""


class _Failure(Exception):
    pass


def configured(
    name: str,
    files: list[str],
    certificate: str,
    address: str,
    port: int,
    allow_restart: bool = False,
) -> dict[str, Any]:
    """Ensure the server in container ``name`` uses its configuration files and serves its certificate.

    A file that is newer than what the server loaded is loaded again, after the server itself found no error in it, and
    so is a certificate that it does not serve. Settings that need a restart get one only with ``allow_restart``; else
    they are shown as pending.

    Args:
        name: the container.
        files: the configuration files, as the host sees them.
        certificate: file with the certificate it should serve, as the host sees it.
        address: where it listens; port: likewise.
        allow_restart: whether the server may be restarted.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": "PostgreSQL uses its configuration",
    }
    try:
        endpoint = (address, port)
        changes, facts = _configuration_changes(name, files, allow_restart)
        changes |= _certificate_changes(endpoint, Path(certificate))
        if __opts__["test"]:
            would = {"result": None, "changes": changes, "comment": "PostgreSQL would load its configuration"}
            return ret | (would if changes else {})
        problems = [*facts["errors"], *facts["access"]]
        if problems:
            return ret | {
                "result": False,
                "comment": f"PostgreSQL refuses its configuration: {'; '.join(problems)}",
            }
        by_hand = "".join(f"ALTER SYSTEM RESET {identifier(setting)};\n" for setting in facts["by_hand"])
        if by_hand or {"loaded", "certificate"} & changes.keys():
            _psql(name, "postgres", f"{by_hand}SELECT pg_reload_conf();")
            facts = _await_reload(
                name, facts["loaded"], lambda: not _certificate_changes(endpoint, Path(certificate))
            )
        if facts["pending"] and allow_restart:
            changes["restart"] = {"old": ", ".join(facts["pending"]), "new": "in effect"}
            with undisturbed(Paths(), "state.apply"):
                _restart(name)
            facts = json.loads(_psql(name, "postgres", _CONFIGURATION))
        record(
            Paths().pending, f"pending restart of {name}", dict.fromkeys(facts["pending"], "setting changed")
        )
    except DatabaseDown as error:
        if __opts__["test"]:
            return ret | {"result": None, "comment": f"PostgreSQL does not run yet: {error}"}
        return ret | {"result": False, "comment": str(error)}
    except (Busy, DatabaseError, _Failure, ValueError, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if facts["pending"]:
        return ret | {
            "changes": changes,
            "comment": f"Pending restart of {name}: {', '.join(facts['pending'])}",
        }
    return ret | {"changes": changes}


def mod_watch(name: str, sfun: str = "", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "PostgreSQL uses its configuration",
    }
    if __opts__["test"]:
        changes = {"loaded": {"old": "older than its files", "new": "as in its files"}}
        return ret | {
            "result": None,
            "changes": changes,
            "comment": "PostgreSQL would load its configuration",
        }
    return ret


def _configuration_changes(
    container: str, files: list[str], allow_restart: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    facts: dict[str, Any] = json.loads(_psql(container, "postgres", _CONFIGURATION))
    changes: dict[str, Any] = {
        f"{setting} by ALTER SYSTEM": {"old": value, "new": None}
        for setting, value in facts["by_hand"].items()
    }
    if max(Path(file).stat().st_mtime for file in files) > facts["loaded"]:
        changes["loaded"] = {"old": "older than its files", "new": "as in its files"}
    if allow_restart and facts["pending"]:
        changes["restart"] = {"old": ", ".join(facts["pending"]), "new": "in effect"}
    return changes, facts


def _certificate_changes(endpoint: tuple[str, int], certificate: Path) -> dict[str, Any]:
    if certificate.exists() and served(endpoint, postgres=True) == stored(certificate):
        return {}
    return {"certificate": {"old": "none or another one is served", "new": "as delivered"}}


def _await_reload(container: str, before: float, serves: Callable[[], bool]) -> dict[str, Any]:
    """The facts after the reload; it is a signal, so the server takes a moment."""
    end = time.monotonic() + 10
    while True:
        facts: dict[str, Any] = json.loads(_psql(container, "postgres", _CONFIGURATION))
        if facts["loaded"] > before and serves():
            return facts
        if time.monotonic() > end:
            raise _Failure(
                f"PostgreSQL did not load its configuration or certificate; docker logs {container} shows why"
            )
        time.sleep(0.1)


def _restart(container: str) -> None:
    result = __salt__["cmd.run_all"](
        ["docker", "restart", container], python_shell=False, timeout=_RESTART_SECONDS
    )
    if result["retcode"]:
        raise _Failure(f"docker restart {container} failed: {result['stderr']}")
    end = time.monotonic() + 120
    while True:
        try:
            _psql(container, "postgres", "SELECT 1;")
            return
        except DatabaseError as error:
            if time.monotonic() > end:
                raise _Failure(f"PostgreSQL is not back after its restart: {error}") from error
            time.sleep(0.5)


def access_granted(
    name: str,
    container: str,
    owner: str,
    application: str,
    roles: dict[str, dict[str, Any]],
    extensions: list[str] | None = None,
) -> dict[str, Any]:
    """Ensure the database, its roles, who may do what, and what the server is extended by.

    The owner owns the database and everything in it; the application reads and writes what the owner makes; PUBLIC
    may do nothing. Passwords are compared with the server's verifiers here and never leave the secret store.

    Args:
        name: the database.
        container: the server's container.
        owner: the role that migrates.
        application: the role that serves.
        roles: role -> {secret: name in the secret store (none: the role cannot log in), superuser, replication,
            member_of, connects, executes}.
        extensions: made in the database ``postgres``, where they are missing.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": "Roles and grants are right",
    }
    try:
        access = _access(name, owner, application, roles, tuple(extensions or ()))
        found = parse(_psql(container, "postgres", question(access)))
        changes = difference(access, found)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {
                "result": None,
                "changes": changes,
                "comment": "Roles and grants would be set right",
            }
        _psql(container, "postgres", statements(access, found), _WRITE_SECONDS)
        remaining = difference(access, parse(_psql(container, "postgres", question(access))))
    except (DatabaseDown, UnknownSecret) as error:
        if __opts__["test"]:
            changes = {name: {"old": None, "new": "created"}}
            return ret | {"result": None, "changes": changes, "comment": "Roles and grants would be made"}
        return ret | {"result": False, "comment": str(error)}
    except (DatabaseError, ValueError) as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        return ret | {"result": False, "changes": changes, "comment": f"Still not right: {remaining}"}
    return ret | {"changes": changes, "comment": "Roles and grants were set right"}


def _access(
    database: str,
    owner: str,
    application: str,
    roles: dict[str, dict[str, Any]],
    extensions: tuple[str, ...],
) -> Access:
    store = Store(Paths().secrets)
    return Access(
        database=database,
        owner=owner,
        application=application,
        extensions=extensions,
        roles=tuple(
            Role(
                name=name,
                password=store.read(facts["secret"]) if facts.get("secret") else None,
                superuser=facts.get("superuser", False),
                replication=facts.get("replication", False),
                member_of=tuple(facts.get("member_of", ())),
                connects=facts.get("connects", True),
                executes=tuple(facts.get("executes", ())),
            )
            for name, facts in roles.items()
        ),
    )


def _psql(container: str, database: str, script: str, timeout: float = 60) -> str:
    """Run a script as the superuser, for ``timeout`` seconds at most; nothing of it is logged.

    Raises:
        DatabaseDown: PostgreSQL can't be asked.
        DatabaseError: it refuses.
    """
    paths = Paths()
    return Database(Docker(paths.docker_config, paths.docker_socket), container).script(
        database, script, timeout
    )
