"""PostgreSQL roles, the database and its grants: what to ask the server, how to compare, what to tell it.

Everything is compared before anything is written, so that a server that is right sees one query and no statement.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace_scram import matches, verifier

# How ALTER ROLE spells an attribute, by its name in pg_roles.
_ATTRIBUTES = {
    "rolsuper": ("NOSUPERUSER", "SUPERUSER"),
    "rolcreaterole": ("NOCREATEROLE", "CREATEROLE"),
    "rolcreatedb": ("NOCREATEDB", "CREATEDB"),
    "rolreplication": ("NOREPLICATION", "REPLICATION"),
    "rolbypassrls": ("NOBYPASSRLS", "BYPASSRLS"),
    "rolcanlogin": ("NOLOGIN", "LOGIN"),
}
# What the application may do with what the owner makes, by object type of pg_default_acl.
_DEFAULTS = {
    "r": ("TABLES", ("DELETE", "INSERT", "SELECT", "UPDATE")),
    "S": ("SEQUENCES", ("SELECT", "UPDATE", "USAGE")),
    "n": ("SCHEMAS", ("USAGE",)),
}


@dataclass(frozen=True)
class Role:
    """A role as it should be.

    Attributes:
        name: its name.
        password: the plain password, kept out of every repr; None for a role that cannot log in.
        superuser: only the server's own.
        replication: may stream the log.
        member_of: all the roles it is in.
        connects: may connect to the database.
        executes: functions of the server that only a superuser may call by default, as regprocedure writes them;
            allowed in the database ``postgres``.
    """

    name: str
    password: str | None = field(default=None, repr=False)
    superuser: bool = False
    replication: bool = False
    member_of: tuple[str, ...] = ()
    connects: bool = True
    executes: tuple[str, ...] = ()

    def attributes(self) -> dict[str, bool]:
        return {
            "rolsuper": self.superuser,
            "rolcreaterole": self.superuser,
            "rolcreatedb": self.superuser,
            "rolreplication": self.replication or self.superuser,
            "rolbypassrls": self.superuser,
            "rolcanlogin": self.password is not None,
        }


@dataclass(frozen=True)
class Access:
    """The database, who owns it, who writes to it, every role, and what the server is extended by.

    Extensions are in the database ``postgres``: one that only a superuser may make would be in a dump's way.
    """

    database: str
    owner: str
    application: str
    roles: tuple[Role, ...]
    extensions: tuple[str, ...] = ()


def identifier(name: str) -> str:
    """``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as an SQL string literal (standard_conforming_strings is on, as it is by default)."""
    return "'" + text.replace("'", "''") + "'"


def question(access: Access) -> str:
    """A psql script that prints one JSON document: roles, functions, extensions, database, grants, default privileges.

    It begins in the database ``postgres``, and connects to the access's own where that exists; the part that only that
    one knows is null before.
    """
    names = ", ".join(literal(role.name) for role in access.roles)
    database = literal(access.database)
    return f"""SELECT coalesce(json_agg(json_build_array(pg_get_userbyid(x.grantee), p.oid::regprocedure::text)), '[]')
  AS functions FROM pg_proc p, aclexplode(p.proacl) x
  WHERE x.privilege_type = 'EXECUTE' AND pg_get_userbyid(x.grantee) IN ({names}) AND x.grantee <> p.proowner \\gset
SELECT json_agg(extname) AS extensions FROM pg_extension \\gset
SELECT count(*) > 0 AS there FROM pg_database WHERE datname = {database} \\gset
\\if :there
\\connect -reuse-previous=on {identifier(access.database)}
\\endif
SELECT json_build_object(
  'functions', :'functions'::json,
  'extensions', :'extensions'::json,
  'roles', (SELECT coalesce(json_object_agg(a.rolname, json_build_object(
      'rolsuper', a.rolsuper, 'rolcreaterole', a.rolcreaterole, 'rolcreatedb', a.rolcreatedb,
      'rolreplication', a.rolreplication, 'rolbypassrls', a.rolbypassrls, 'rolcanlogin', a.rolcanlogin,
      'verifier', a.rolpassword,
      'member_of', (SELECT coalesce(json_agg(g.rolname ORDER BY g.rolname), '[]') FROM pg_auth_members m
                    JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = a.oid))), '{{}}')
    FROM pg_authid a WHERE a.rolname IN ({names})),
  'database', (SELECT json_build_object('owner', pg_get_userbyid(d.datdba), 'grants',
      (SELECT json_agg(json_build_array(CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END,
         x.privilege_type)) FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x))
    FROM pg_database d WHERE d.datname = {database}),
  'schema', (SELECT json_agg(json_build_array(CASE x.grantee WHEN 0 THEN 'PUBLIC'
         ELSE pg_get_userbyid(x.grantee) END, x.privilege_type))
    FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x WHERE n.nspname = 'public'),
  'defaults', (SELECT coalesce(json_agg(json_build_array(d.defaclobjtype, pg_get_userbyid(x.grantee),
         x.privilege_type)), '[]')
    FROM pg_default_acl d, aclexplode(d.defaclacl) x
    WHERE d.defaclnamespace = 0 AND pg_get_userbyid(d.defaclrole) = {literal(access.owner)}));
"""  # noqa: S608 - every name is quoted by identifier() or literal()


def parse(answer: str) -> dict[str, Any]:
    """The document that ``question`` prints.

    Raises:
        ValueError: it is not there.
    """
    document = json.loads(answer.strip().splitlines()[-1]) if answer.strip() else None
    if not isinstance(document, dict):
        raise ValueError("PostgreSQL gave no answer to the question about its roles")
    return document


def _role_changes(role: Role, found: Mapping[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return {"role": {"old": None, "new": "created"}}
    changes: dict[str, Any] = {
        key: {"old": found[key], "new": value}
        for key, value in role.attributes().items()
        if found[key] is not value
    }
    if set(found["member_of"]) != set(role.member_of):
        changes["member_of"] = {"old": sorted(found["member_of"]), "new": sorted(role.member_of)}
    # The values stay out: that the password is another one is all there is to say.
    if role.password is not None and not matches(found["verifier"], role.password):
        changes["password"] = {
            "old": "another one" if found["verifier"] else None,
            "new": "as in the secret store",
        }
    return changes


def _wanted_grants(access: Access) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(grants on the database, grants on schema public)."""
    others = [
        role.name
        for role in access.roles
        if role.connects and role.name != access.owner and not role.superuser
    ]
    database = {(name, "CONNECT") for name in others} | {(access.application, "TEMPORARY")}
    return database, {(name, "USAGE") for name in others}


@dataclass(frozen=True)
class Grants:
    """Sorted (grantee, privilege) pairs: those that are missing, and those that are too much."""

    missing: list[tuple[str, str]]
    excess: list[tuple[str, str]]


def _compare(access: Access, wanted: set[tuple[str, str]], found: list[list[str]] | None) -> Grants:
    """Excess are PUBLIC's grants and those of the roles of ``access``; what other roles hold is not judged.

    The owner and superusers may do all of it anyway.
    """
    held = {(grantee, privilege) for grantee, privilege in found or []}
    mighty = {access.owner} | {role.name for role in access.roles if role.superuser}
    judged = ({role.name for role in access.roles} - mighty) | {"PUBLIC"}
    return Grants(sorted(wanted - held), sorted(pair for pair in held - wanted if pair[0] in judged))


def _missing_defaults(access: Access, found: list[list[str]]) -> list[str]:
    held = {(kind, privilege) for kind, grantee, privilege in found if grantee == access.application}
    return [kind for kind, (_, names) in _DEFAULTS.items() if any((kind, name) not in held for name in names)]


def _functions(access: Access, found: Mapping[str, Any]) -> Grants:
    """Sorted (role, function) pairs: those that are missing, and those that are too much."""
    wanted = {(role.name, function) for role in access.roles for function in role.executes}
    held = {(name, function) for name, function in found["functions"]}
    return Grants(sorted(wanted - held), sorted(held - wanted))


def _extensions(access: Access, found: Mapping[str, Any]) -> list[str]:
    """Those that are missing; what else there is, is somebody else's."""
    return sorted(set(access.extensions) - set(found["extensions"]))


def difference(access: Access, found: Mapping[str, Any]) -> dict[str, Any]:
    """What is not as it should be, for people: an empty dict when all is. Holds no password and no verifier."""
    changes: dict[str, Any] = {}
    for role in access.roles:
        role_changes = _role_changes(role, found["roles"].get(role.name))
        if role_changes:
            changes[role.name] = role_changes
    functions = _functions(access, found)
    if functions.missing or functions.excess:
        changes["functions"] = {
            "old": [f"{name}: {function}" for name, function in functions.excess],
            "new": [f"{name}: {function}" for name, function in functions.missing],
        }
    extensions = _extensions(access, found)
    if extensions:
        changes["extensions"] = {"old": None, "new": ", ".join(extensions)}
    database = found["database"]
    if database is None:
        return changes | {access.database: {"database": {"old": None, "new": "created"}}}
    if database["owner"] != access.owner:
        changes[access.database] = {"owner": {"old": database["owner"], "new": access.owner}}
    on_database, on_schema = _wanted_grants(access)
    for what, wanted, held in (
        ("database grants", on_database, database["grants"]),
        ("schema grants", on_schema, found["schema"]),
    ):
        grants = _compare(access, wanted, held)
        if grants.missing or grants.excess:
            changes[what] = {
                "old": [f"{name}: {privilege}" for name, privilege in grants.excess],
                "new": [f"{name}: {privilege}" for name, privilege in grants.missing],
            }
    defaults = _missing_defaults(access, found["defaults"])
    if defaults:
        kinds = [_DEFAULTS[kind][0].lower() for kind in defaults]
        rights = f"{access.application} on the owner's new {', '.join(kinds)}"
        changes["default privileges"] = {"old": None, "new": rights}
    return changes


def statements(access: Access, found: Mapping[str, Any]) -> str:
    """A psql script that makes the server as it should be: roles in one transaction, grants in another."""
    script = [
        # A statement with a verifier must not end in the server's log, whatever its settings.
        "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;",
        "BEGIN;",
    ]
    for role in access.roles:
        script += _role_statements(role, found["roles"].get(role.name))
    functions = _functions(access, found)
    script += [
        f"REVOKE EXECUTE ON FUNCTION {what} FROM {identifier(name)};" for name, what in functions.excess
    ]
    script += [f"GRANT EXECUTE ON FUNCTION {what} TO {identifier(name)};" for name, what in functions.missing]
    script += [f"CREATE EXTENSION {identifier(name)};" for name in _extensions(access, found)]
    script.append("COMMIT;")
    database = identifier(access.database)
    if found["database"] is None:
        script.append(f"CREATE DATABASE {database} OWNER {identifier(access.owner)};")
    script += [f"\\connect -reuse-previous=on {database}", "BEGIN;"]
    if found["database"] and found["database"]["owner"] != access.owner:
        script.append(f"ALTER DATABASE {database} OWNER TO {identifier(access.owner)};")
    script += [f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;", "REVOKE ALL ON SCHEMA public FROM PUBLIC;"]
    on_database, on_schema = _wanted_grants(access)
    there = found["database"] or {"grants": []}
    for what, wanted, held in (
        (f"DATABASE {database}", on_database, there["grants"]),
        ("SCHEMA public", on_schema, found["schema"] if found["database"] else []),
    ):
        for name, right in _compare(access, wanted, held).excess:
            if name != "PUBLIC":
                script.append(f"REVOKE {right} ON {what} FROM {identifier(name)};")
    script += [
        f"GRANT {right} ON DATABASE {database} TO {identifier(name)};" for name, right in sorted(on_database)
    ]
    script += [f"GRANT {right} ON SCHEMA public TO {identifier(name)};" for name, right in sorted(on_schema)]
    for objects, rights in _DEFAULTS.values():
        script.append(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(access.owner)} "
            f"GRANT {', '.join(rights)} ON {objects} TO {identifier(access.application)};"
        )
    return "\n".join([*script, "COMMIT;", ""])


def _role_statements(role: Role, found: Mapping[str, Any] | None) -> list[str]:
    changes = _role_changes(role, found)
    if not changes:
        return []
    name = identifier(role.name)
    script = [f"CREATE ROLE {name};"] if found is None else []
    words = [_ATTRIBUTES[key][int(value)] for key, value in role.attributes().items()]
    script.append(f"ALTER ROLE {name} {' '.join(words)};")
    script += [f"GRANT {identifier(group)} TO {name};" for group in role.member_of]
    excess = sorted(set(found["member_of"]) - set(role.member_of)) if found else []
    script += [f"REVOKE {identifier(group)} FROM {name};" for group in excess]
    if role.password is not None and (found is None or "password" in changes):
        script.append(f"ALTER ROLE {name} PASSWORD {literal(verifier(role.password))};")
    return script
