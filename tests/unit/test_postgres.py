"""Roles, grants and default privileges: compared before written, and no secret in what people see."""

import subprocess
from pathlib import Path

import pytest
from marketplace_postgres import Access, Role, difference, identifier, literal, parse, question, statements
from marketplace_scram import verifier

from tests.support.droplet.paths import REPOSITORY

CHECK = REPOSITORY / "salt/marketplace/files/check-postgresql-conf"

ACCESS = Access(
    database="shop",
    owner="shop_owner",
    application="shop_app",
    roles=(
        Role("shop_owner", password="owner-password"),
        Role("shop_app", password="app-password"),
        Role(
            "shop_backup",
            password="b",
            replication=True,
            member_of=("pg_read_all_data",),
            executes=("pg_switch_wal()",),
        ),
        Role("health", connects=False),
    ),
    extensions=("pg_stat_statements",),
)
EMPTY = {
    "functions": [],
    "extensions": ["plpgsql"],
    "roles": {},
    "database": None,
    "schema": [["PUBLIC", "USAGE"]],
    "defaults": [],
}


def found(role):
    return {
        **role.attributes(),
        "verifier": verifier(role.password, b"0123456789abcdef", 10) if role.password else None,
        "member_of": list(role.member_of),
    }


@pytest.fixture
def right():
    """A server on which everything is as it should be."""
    return {
        "functions": [["shop_backup", "pg_switch_wal()"]],
        "extensions": ["plpgsql", "pg_stat_statements"],
        "roles": {role.name: found(role) for role in ACCESS.roles},
        "database": {
            "owner": "shop_owner",
            "grants": [
                *(["shop_owner", privilege] for privilege in ("CREATE", "CONNECT", "TEMPORARY")),
                ["shop_app", "CONNECT"],
                ["shop_app", "TEMPORARY"],
                ["shop_backup", "CONNECT"],
            ],
        },
        "schema": [["pg_database_owner", "CREATE"], ["shop_app", "USAGE"], ["shop_backup", "USAGE"]],
        "defaults": [
            *(["r", "shop_app", right] for right in ("SELECT", "INSERT", "UPDATE", "DELETE")),
            *(["S", "shop_app", right] for right in ("SELECT", "UPDATE", "USAGE")),
            ["n", "shop_app", "USAGE"],
        ],
    }


def test_a_server_that_is_right_needs_nothing(right):
    assert difference(ACCESS, right) == {}


def test_an_empty_server_gets_everything():
    changes = difference(ACCESS, EMPTY)
    assert set(changes) == {
        "functions",
        "extensions",
        "shop",
        "shop_owner",
        "shop_app",
        "shop_backup",
        "health",
    }
    script = statements(ACCESS, EMPTY)
    assert 'CREATE DATABASE "shop" OWNER "shop_owner";' in script
    # Before anybody connects to the application's database: there a dump would take it along.
    assert script.index('CREATE EXTENSION "pg_stat_statements";') < script.index("\\connect")
    assert "REVOKE ALL ON SCHEMA public FROM PUBLIC;" in script
    assert (
        script.index('CREATE ROLE "shop_owner"') < script.index("COMMIT;") < script.index("CREATE DATABASE")
    )


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda server: server["roles"].pop("shop_app"), "shop_app"),
        (lambda server: server["roles"]["shop_app"].update(rolsuper=True), "shop_app"),
        (lambda server: server["roles"]["shop_app"].update(verifier=verifier("old")), "shop_app"),
        (lambda server: server["roles"]["shop_backup"].update(rolreplication=False), "shop_backup"),
        (lambda server: server["roles"]["shop_backup"].update(member_of=[]), "shop_backup"),
        (lambda server: server["roles"]["shop_app"].update(member_of=["shop_owner"]), "shop_app"),
        (lambda server: server["roles"]["health"].update(rolcanlogin=True), "health"),
        (lambda server: server["functions"].clear(), "functions"),
        (lambda server: server["functions"].append(["shop_app", "pg_switch_wal()"]), "functions"),
        (lambda server: server["extensions"].remove("pg_stat_statements"), "extensions"),
        (lambda server: server["database"].update(owner="postgres"), "shop"),
        (lambda server: server["database"]["grants"].append(["PUBLIC", "CONNECT"]), "database grants"),
        (lambda server: server["database"]["grants"].remove(["shop_app", "CONNECT"]), "database grants"),
        (lambda server: server["database"]["grants"].append(["shop_app", "CREATE"]), "database grants"),
        (lambda server: server["database"]["grants"].append(["health", "CONNECT"]), "database grants"),
        (lambda server: server["schema"].append(["PUBLIC", "CREATE"]), "schema grants"),
        (lambda server: server["schema"].append(["shop_app", "CREATE"]), "schema grants"),
        (lambda server: server["defaults"].remove(["r", "shop_app", "DELETE"]), "default privileges"),
    ],
)
def test_what_is_wrong_is_named(right, spoil, named):
    spoil(right)
    assert set(difference(ACCESS, right)) == {named}


def test_only_a_role_that_differs_is_written(right):
    right["roles"]["shop_app"]["verifier"] = verifier("old")
    script = statements(ACCESS, right)
    assert 'ALTER ROLE "shop_app" PASSWORD' in script
    assert '"shop_backup" PASSWORD' not in script
    assert "CREATE ROLE" not in script
    assert "CREATE DATABASE" not in script


def test_what_is_too_much_is_revoked(right):
    right["roles"]["shop_backup"]["member_of"].append("pg_write_all_data")
    right["functions"].append(["shop_app", "pg_switch_wal()"])
    right["database"]["grants"].append(["shop_app", "CREATE"])
    right["schema"].append(["shop_app", "CREATE"])
    script = statements(ACCESS, right)
    assert 'REVOKE "pg_write_all_data" FROM "shop_backup";' in script
    assert 'REVOKE "pg_read_all_data"' not in script
    assert 'REVOKE CREATE ON DATABASE "shop" FROM "shop_app";' in script
    assert 'REVOKE CREATE ON SCHEMA public FROM "shop_app";' in script
    assert 'REVOKE EXECUTE ON FUNCTION pg_switch_wal() FROM "shop_app";' in script
    assert script.count("REVOKE") == 6


def test_passwords_are_in_nothing_but_the_store(right):
    right["roles"]["shop_app"]["verifier"] = verifier("old")
    shown = str(difference(ACCESS, right)) + statements(ACCESS, right) + question(ACCESS) + repr(ACCESS)
    assert "app-password" not in shown
    assert "owner-password" not in shown
    assert "SCRAM" not in str(difference(ACCESS, right))


def test_a_role_somebody_else_made_is_left_alone(right):
    right["database"]["grants"].append(["analyst", "CONNECT"])
    assert difference(ACCESS, right) == {}
    assert "analyst" not in statements(ACCESS, right)


def test_names_are_quoted():
    assert identifier('a"b') == '"a""b"'
    assert literal("a'b") == "'a''b'"


@pytest.mark.parametrize("answer", ["", "\n", "[]"])
def test_no_answer_is_an_error(answer):
    with pytest.raises(ValueError, match="no answer"):
        parse(answer)


@pytest.mark.parametrize(("status", "asked"), [("running", True), ("restarting", False), ("exited", False)])
def test_a_candidate_is_judged_only_where_a_server_can_be_asked(
    tmp_path: Path, status: str, asked: bool
) -> None:
    """One in a crash loop is not asked: state.apply has to be able to mend what it crashes of."""
    docker = tmp_path / "docker"
    answers = {"{{.State.Status}}": status, "{{.State.Running}}": "false" if status == "exited" else "true"}
    docker.write_text(
        "#!/bin/sh\n[ $1 = inspect ] || exit 7\ncase $3 in\n"
        + "".join(f"'{form}') echo {answer};;\n" for form, answer in answers.items())
        + "esac\n"
    )
    docker.chmod(0o755)
    candidate = tmp_path / "postgresql.conf"
    candidate.touch()
    done = subprocess.run(["sh", CHECK, candidate], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert done.returncode == (7 if asked else 0)
