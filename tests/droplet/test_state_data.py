"""PostgreSQL and Redis as states keep them: who may do what, what waits for a restart, what is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result
from tests.support.droplet.salt import Answer, call
from tests.support.droplet.site import Images, Site

ALLOW = 'pillar={"allow_restart": true}'
WELL_SECONDS = 120


def psql(droplet: Droplet, statement: str, database: str = "marketplace", check: bool = True) -> Result:
    command = ["docker", "exec", "-i", "postgres", "psql", "-XqAt", "-U", "postgres", "-d", database]
    return droplet.run([*command, "-v", "ON_ERROR_STOP=1", "-f", "-"], stdin=statement, check=check)


def redis(droplet: Droplet, user: str, secret: str | None, *command: str) -> str:
    """Redis's answer to ``user``, by a client that gets the password on its standard input."""
    script = (
        "import sys; sys.path.insert(0, '/srv/deploy/salt/_utils')\n"
        "from marketplace_redis import Connection, RedisError\n"
        "password, user, *command = sys.stdin.read().split('\\n')\n"
        "try:\n"
        "    authority = '/etc/marketplace/tls/services.pem'\n"
        "    with Connection(('10.213.20.11', 6380), user, password, authority=authority) as c:\n"
        "        print(c.command(*command))\n"
        "except RedisError as error: print(error)\n"
    )
    password = droplet.get(f"/etc/marketplace/secrets/{secret}").decode() if secret else "any"
    return droplet.run(
        ["/opt/salt/bin/python3", "-c", script], stdin="\n".join([password, user, *command])
    ).stdout


def test_the_cluster_checks_its_pages(droplet: Droplet) -> None:
    shown = psql(
        droplet, "SHOW data_checksums; SHOW password_encryption; SHOW shared_preload_libraries;"
    ).stdout
    assert shown.split() == ["on", "scram-sha-256", "pg_stat_statements"]


def test_the_application_writes_what_the_owner_makes_and_makes_nothing_itself(droplet: Droplet) -> None:
    allowed = psql(
        droplet,
        "BEGIN; SET ROLE marketplace_owner; CREATE TABLE proof (id serial PRIMARY KEY, word text);"
        "SET ROLE marketplace_app; INSERT INTO proof (word) VALUES ('a'); UPDATE proof SET word = 'b';"
        "SELECT word FROM proof; DELETE FROM proof; ROLLBACK;",
    )
    assert allowed.stdout.split() == ["b"]
    for statement, refusal in (
        ("CREATE TABLE mine (id int);", "permission denied for schema public"),
        ("CREATE SCHEMA mine;", "permission denied for database"),
        ("SELECT * FROM pg_authid;", "permission denied for table pg_authid"),
    ):
        refused = psql(droplet, f"SET ROLE marketplace_app; {statement}", check=False)
        assert refusal in refused.stderr


def test_monitoring_sees_how_long_each_statement_takes(droplet: Droplet) -> None:
    shown = psql(
        droplet,
        "SET ROLE marketplace_monitor; SELECT count(*) > 0 AND max(total_exec_time) > 0 FROM pg_stat_statements "
        "WHERE query ~ 'pg_roles';",
        "postgres",
    )
    assert shown.stdout.strip() == "t"


def test_a_stranger_may_not_even_connect(droplet: Droplet) -> None:
    shown = psql(
        droplet,
        "SELECT has_database_privilege('public', 'marketplace', 'CONNECT'), "
        "has_schema_privilege('public', 'public', 'USAGE');",
    )
    assert shown.stdout.strip() == "f|f"


def test_roles_are_what_they_are_for(droplet: Droplet) -> None:
    rows = psql(
        droplet,
        "SELECT rolname, rolcanlogin, rolsuper, rolreplication, rolcreaterole FROM pg_roles "
        "WHERE rolname ~ '^(marketplace|health)' ORDER BY 1;",
    ).stdout.split()
    assert rows == [
        "health|f|f|f|f",
        "marketplace_app|t|f|f|f",
        "marketplace_backup|t|f|t|f",
        "marketplace_monitor|t|f|f|f",
        "marketplace_owner|t|f|f|f",
    ]


def test_a_password_changed_by_hand_is_set_right(droplet: Droplet) -> None:
    psql(droplet, "ALTER ROLE marketplace_monitor PASSWORD 'something-else';")
    plan = call(droplet, "state.apply", "marketplace.database", "test=True")
    assert set(plan.changed) == {"Ensure the database has its roles and grants"}
    done = call(droplet, "state.apply", "marketplace.database")
    assert done.failed == {}
    assert set(done.changed["Ensure the database has its roles and grants"]) == {"marketplace_monitor"}
    assert call(droplet, "state.apply", "marketplace.database").changed == {}
    assert "SCRAM" not in json.dumps(done.value)


def test_rights_given_by_hand_are_taken_back(droplet: Droplet) -> None:
    psql(
        droplet,
        "GRANT marketplace_owner TO marketplace_app; GRANT CREATE ON SCHEMA public TO marketplace_app;"
        "GRANT CREATE ON DATABASE marketplace TO PUBLIC;",
    )
    done = call(droplet, "state.apply", "marketplace.database")
    assert (done.failed, set(done.changed)) == ({}, {"Ensure the database has its roles and grants"})
    shown = psql(
        droplet,
        "SELECT pg_has_role('marketplace_app', 'marketplace_owner', 'MEMBER'), "
        "has_schema_privilege('marketplace_app', 'public', 'CREATE'), "
        "has_database_privilege('marketplace_app', 'marketplace', 'CREATE');",
    )
    assert shown.stdout.strip() == "f|f|f"
    assert call(droplet, "state.apply", "marketplace.database").changed == {}


def test_redis_users_may_do_what_they_are_for(droplet: Droplet) -> None:
    assert redis(droplet, "marketplace", "redis_app_password", "SET", "proof", "1").strip() == "OK"
    assert redis(droplet, "marketplace", "redis_app_password", "DEL", "proof").strip() == "1"
    assert redis(droplet, "health", None, "PING").strip() == "PONG"
    assert "NOPERM" in redis(droplet, "health", None, "GET", "proof")
    assert "used_memory" in redis(droplet, "monitoring", "redis_monitoring_password", "INFO", "memory")
    assert "NOPERM" in redis(droplet, "monitoring", "redis_monitoring_password", "GET", "proof")
    assert "WRONGPASS" in redis(droplet, "default", None, "PING")


def test_redis_users_changed_by_hand_are_set_right(droplet: Droplet) -> None:
    redis(
        droplet,
        "operator",
        "redis_operator_password",
        "ACL",
        "SETUSER",
        "intruder",
        "on",
        "nopass",
        "~*",
        "+@all",
    )
    done = call(droplet, "state.apply", "marketplace.cache")
    assert done.changed == {
        "Ensure Redis knows its users": {"intruder": {"old": "as loaded", "new": "removed"}}
    }
    assert "WRONGPASS" in redis(droplet, "intruder", None, "PING")
    assert call(droplet, "state.apply", "marketplace.cache").changed == {}


@pytest.fixture
def told(droplet: Droplet, site: Site, images: Images) -> Iterator[dict]:
    """The droplet's own pillar, to change; the end puts it back and allows what that takes."""
    before = droplet.get(pillar.FILE)
    yield yaml.safe_load(before)
    droplet.put(pillar.FILE, before, mode=0o600)
    assert call(droplet, "state.apply", ALLOW).failed == {}


def started(droplet: Droplet) -> list[str]:
    return droplet.run(
        ["docker", "inspect", "--format", "{{.State.StartedAt}}", "postgres", "redis"]
    ).stdout.split()


def comments(answer: Answer) -> dict[str, str]:
    return {state["__id__"]: state["comment"] for state in answer.states}


def test_a_restart_waits_until_it_is_allowed(droplet: Droplet, told: dict) -> None:
    before = started(droplet)
    told["postgres"]["max_connections"] = 60
    told["redis"]["limits"] = {"memory": "392M", "cpus": 0.25, "pids": 64}
    pillar.write(droplet, told)

    first = call(droplet, "state.apply")
    assert first.failed == {}
    assert started(droplet) == before
    assert "Pending restart: redis" in comments(first)["Ensure the data services are running"]
    assert "max_connections" in comments(first)["Ensure PostgreSQL uses its configuration"]

    second = call(droplet, "state.apply")
    assert second.changed == {}
    pending = call(droplet, "deploy.status").value["pending"]
    assert any("redis" in line for line in pending)
    assert any("max_connections" in line for line in pending)

    plan = call(droplet, "state.apply", "test=True", ALLOW)
    assert set(plan.changed) == {
        "Ensure the data services are running",
        "Ensure PostgreSQL uses its configuration",
    }
    allowed = call(droplet, "state.apply", ALLOW)
    assert allowed.failed == {}
    assert all(new > old for old, new in zip(before, started(droplet), strict=True))
    assert psql(droplet, "SHOW max_connections;").stdout.strip() == "60"
    assert droplet.run(
        ["docker", "inspect", "--format", "{{.HostConfig.Memory}}", "redis"]
    ).stdout.strip() == str(392 << 20)
    assert not any("restart" in line for line in call(droplet, "deploy.status").value["pending"])


def test_a_setting_that_needs_no_restart_gets_none(droplet: Droplet, told: dict) -> None:
    before = started(droplet)
    told["postgres"]["parameters"] = {"work_mem": "3MB"}
    pillar.write(droplet, told)
    done = call(droplet, "state.apply")
    assert "loaded" in done.changed["Ensure PostgreSQL uses its configuration"]
    assert psql(droplet, "SHOW work_mem;").stdout.strip() == "3MB"
    assert started(droplet) == before
    assert call(droplet, "state.apply").changed == {}


def test_a_setting_that_the_server_refuses_never_reaches_its_file(droplet: Droplet, told: dict) -> None:
    file = "/etc/marketplace/postgres/postgresql.conf"
    before = droplet.get(file)
    told["postgres"]["parameters"] = {"work_memory": "3MB"}
    pillar.write(droplet, told)
    refused = call(droplet, "state.apply", "marketplace.database")
    assert 'unrecognized configuration parameter "work_memory"' in str(refused.failed)
    assert droplet.get(file) == before


def test_what_a_killed_compose_leaves_is_cleared(droplet: Droplet) -> None:
    image = droplet.run(["docker", "inspect", "--format", "{{.Image}}", "redis"]).stdout.strip()
    label = "com.docker.compose.project=data"
    droplet.run(["docker", "create", "--name", "0123456789ab_redis", "--label", label, image])
    done = call(droplet, "state.apply", "marketplace.data")
    assert set(done.changed["Ensure the data services are running"]) == {"0123456789ab_redis"}
    assert droplet.run(["docker", "inspect", "0123456789ab_redis"], check=False).returncode != 0


def test_a_database_that_is_gone_is_not_taken_for_a_new_one(droplet: Droplet) -> None:
    droplet.run(["systemctl", "stop", "marketplace-backend", "marketplace-data"])
    droplet.run(["mv", "/srv/data/postgres/data/17", "/srv/data/postgres/17.away"])
    refused = call(droplet, "state.apply", "marketplace.data")
    assert "PG_VERSION is gone" in refused.failed["Ensure the data services are running"]
    assert droplet.run(["systemctl", "start", "marketplace-data"], check=False).returncode != 0
    assert droplet.run(["ls", "/srv/data/postgres/data"]).stdout == ""

    droplet.run(["mv", "/srv/data/postgres/17.away", "/srv/data/postgres/data/17"])
    assert call(droplet, "state.apply").failed == {}
    assert psql(droplet, "SELECT 1;").stdout.strip() == "1"


def test_what_an_operator_runs_is_left_alone(droplet: Droplet) -> None:
    image = droplet.run(["docker", "inspect", "--format", "{{.Image}}", "redis"]).stdout.strip()
    labels = ["--label=com.docker.compose.project=data", "--label=com.docker.compose.oneoff=True"]
    name = "data-redis-run-0123456789ab"
    droplet.run(["docker", "run", "--detach", f"--name={name}", *labels, "--entrypoint=sleep", image, "60"])
    try:
        assert call(droplet, "state.apply", "marketplace.data").changed == {}
        state = ["docker", "inspect", "--format", "{{.State.Running}}", name]
        assert droplet.run(state).stdout.strip() == "true"
    finally:
        droplet.run(["docker", "rm", "--force", name])


def test_an_operator_that_redis_does_not_know_any_more_comes_back_with_a_restart(droplet: Droplet) -> None:
    change = ("ACL", "SETUSER", "operator", "resetpass", ">something-else")
    assert redis(droplet, "operator", "redis_operator_password", *change).strip() == "OK"
    refused = call(droplet, "state.apply", "marketplace.cache")
    assert "allow a restart" in refused.failed["Ensure Redis knows its users"]
    done = call(droplet, "state.apply", "marketplace.cache", ALLOW)
    assert (done.failed, set(done.changed)) == ({}, {"Ensure Redis knows its users"})
    assert call(droplet, "state.apply", "marketplace.cache").changed == {}
