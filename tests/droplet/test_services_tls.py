"""PostgreSQL and Redis are reached through TLS alone, and prove who they are by certificates that renew themselves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.droplet.test_state_data import psql, redis, started
from tests.droplet.test_state_edge import curl
from tests.support import inside
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.running import Load
from tests.support.waiting import seconds_until

SERVICES = "/etc/marketplace/tls/services"
ADDRESSES = {"postgres": "10.213.20.10:5432", "redis": "10.213.20.11:6380"}

WITHOUT_TLS = """
import asyncio, os, pathlib, socket
import asyncpg

password = pathlib.Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text().strip()
host, port = os.environ["DATABASE_HOST"], int(os.environ["DATABASE_PORT"])
user, name = os.environ["DATABASE_USER"], os.environ["DATABASE_NAME"]

async def main():
    try:
        await asyncpg.connect(host=host, port=port, user=user, database=name, password=password, ssl=False)
        print("PostgreSQL let us in")
    except asyncpg.PostgresError as error:
        print("PostgreSQL:", error)
    for redis_port in (6379, 6380):
        try:
            with socket.create_connection((os.environ["REDIS_HOST"], redis_port), 1) as plain:
                plain.sendall(b"PING\\r\\n")
                print("Redis", redis_port, "said", plain.recv(100) or "nothing")
        except OSError as error:
            print("Redis", redis_port, type(error).__name__)

asyncio.run(main())
"""

# The application's own clients, with another authority than the deployment gave them.
WITH_ANOTHER_AUTHORITY = """
import asyncio, os, sys
from sqlalchemy import text
from marketplace_bot import config, database, server

async def main(changes):
    told = config.load({**os.environ, **changes})
    engine, client = database.pool(told.database, 1, "proof"), server.redis_client(told)
    for ask in (lambda: query(engine), client.ping):
        try:
            await ask()
            print("in")
        except Exception as error:
            print("out:", error)

async def query(engine):
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))

other = "/etc/ssl/certs/ca-certificates.crt"
for changes in (
    {},
    {"DATABASE_CA_FILE": other, "REDIS_CA_FILE": other},
    {"DATABASE_HOST": "postgres.data", "REDIS_HOST": "redis.data"},
):
    asyncio.run(main(changes))
"""


def test_nobody_gets_in_without_tls(droplet: Droplet) -> None:
    said = inside.python(droplet, WITHOUT_TLS).stdout.splitlines()
    assert "no encryption" in said[0], said
    assert said[1] == "Redis 6379 TimeoutError", said
    assert said[2].split()[:2] == ["Redis", "6380"], said
    assert not any(word in said[2] for word in ("PONG", "NOAUTH")), said
    assert psql(droplet, "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
                "WHERE a.client_addr IS NOT NULL AND NOT s.ssl;").stdout.strip() == "0"  # fmt: skip


def test_the_application_speaks_only_to_servers_that_it_is_told_to_trust(droplet: Droplet) -> None:
    said = inside.python(droplet, WITH_ANOTHER_AUTHORITY).stdout.splitlines()
    assert said[:2] == ["in", "in"], said
    for line in said[2:4]:
        assert line.startswith("out:"), said
        assert "certificate verify failed" in line, said
    # The right authority, another name.
    for line in said[4:6]:
        assert line.startswith("out:"), said
        assert "Hostname mismatch" in line, said


# What concerns the server, its other users or all keys at once.
FORBIDDEN = """CONFIG GET dir, CONFIG SET port 0, CONFIG REWRITE, FLUSHALL, FLUSHDB, KEYS *, DEBUG SLEEP 0,
SHUTDOWN NOSAVE, REPLICAOF NO ONE, SLAVEOF NO ONE, ACL LIST, ACL SETUSER x, MONITOR, SAVE, BGSAVE, BGREWRITEAOF,
MODULE LIST, CLIENT LIST, CLIENT KILL ID 1, CLUSTER RESET, SWAPDB 0 1, MIGRATE h 1 k 0 1, SLOWLOG GET,
LATENCY RESET, FAILOVER, INFO, SYNC, ROLE, RESTORE k 0 v, SORT k"""

ATTEMPTS = """
import sys; sys.path.insert(0, "/srv/deploy/salt/_utils")
from marketplace_redis import Connection, RedisError
from pathlib import Path
address, authority = ("10.213.20.11", 6380), "/etc/marketplace/tls/services.pem"
store = Path("/etc/marketplace/secrets")
login = {user: (store / f"redis_{name}_password").read_text().strip() for user, name in
         (("marketplace", "app"), ("operator", "operator"))}
for command in sys.stdin.read().split(","):
    with Connection(address, "operator", login["operator"], authority=authority) as operator:
        print(command.strip(), "|", operator.command("ACL", "DRYRUN", "marketplace", *command.split()), end=" | ")
    with Connection(address, "marketplace", login["marketplace"], authority=authority) as application:
        try:
            print("done", application.command(*command.split()))
        except RedisError as error:
            print(error)
"""


def test_the_application_has_no_say_in_the_server(droplet: Droplet) -> None:
    tried = droplet.run(["/opt/salt/bin/python3", "-c", ATTEMPTS], stdin=FORBIDDEN).stdout.splitlines()
    assert len(tried) == 30
    for line in tried:
        command, by_the_rules, in_fact = line.split(" | ", 2)
        assert "has no permissions to run" in by_the_rules, line
        # Two are refused for another reason before anybody looks at the rules.
        assert "NOPERM" in in_fact or command.split()[0] in ("DEBUG", "CLUSTER"), line
        assert not in_fact.startswith("done"), line


def test_roles_are_separated(droplet: Droplet) -> None:
    psql(
        droplet, "SET ROLE marketplace_owner; CREATE TABLE proof (word text); INSERT INTO proof VALUES ('a');"
    )
    try:
        for role, statement, refusal in (
            ("marketplace_app", "CREATE TABLE mine (id int);", "permission denied for schema public"),
            ("marketplace_app", "DROP TABLE proof;", "must be owner of table proof"),
            ("marketplace_app", "TRUNCATE proof;", "permission denied for table proof"),
            ("marketplace_app", "ALTER TABLE proof ADD COLUMN more int;", "must be owner of table proof"),
            ("marketplace_app", "SET ROLE marketplace_owner;", "permission denied to set role"),
            ("marketplace_app", "COPY proof TO PROGRAM 'true';", "permission denied to COPY"),
            ("marketplace_owner", "CREATE ROLE more;", "permission denied to create role"),
            ("marketplace_monitor", "SELECT * FROM proof;", "permission denied for table proof"),
            ("marketplace_monitor", "CREATE TABLE mine (id int);", "permission denied for schema public"),
            ("marketplace_backup", "INSERT INTO proof VALUES ('b');", "permission denied for table proof"),
            ("marketplace_backup", "CREATE TABLE mine (id int);", "permission denied for schema public"),
        ):
            refused = psql(droplet, f"SET SESSION AUTHORIZATION {role}; {statement}", check=False)
            assert refusal in refused.stderr, (role, statement, refused)
        for role, statement in (
            ("marketplace_backup", "SELECT * FROM proof;"),
            ("marketplace_monitor", "SELECT count(*) > 0 FROM pg_stat_activity;"),
        ):
            assert psql(droplet, f"SET SESSION AUTHORIZATION {role}; {statement}").stdout.strip() in (
                "a",
                "t",
            )
    finally:
        psql(droplet, "DROP TABLE proof;")


def serial(droplet: Droplet, service: str) -> str:
    """The serial number of the certificate that is served."""
    protocol = ["-starttls", "postgres"] if service == "postgres" else []
    shown = droplet.run(
        ["openssl", "s_client", "-connect", ADDRESSES[service], *protocol], stdin="", check=False
    )
    return droplet.run(["openssl", "x509", "-noout", "-serial"], stdin=shown.stdout).stdout.strip()


def write_certificate(droplet: Droplet, service: str, signer: str, starts: str, ends: str) -> str:
    """Put a certificate of another time or signer in the place of a service's; returns its content."""
    host = ADDRESSES[service].split(":")[0]
    made = ["openssl", "req", "-x509", "-CA", signer, "-CAkey", signer, "-newkey", "ec", "-pkeyopt"]
    made += ["ec_paramgen_curve:prime256v1", "-noenc", "-not_before", starts, "-not_after", ends, "-subj"]
    made += [f"/CN={service}", "-addext", f"subjectAltName=DNS:{service},IP:{host}"]
    made += ["-addext", "basicConstraints=critical,CA:FALSE"]
    droplet.run([*made, "-keyout", "/run/proof.key", "-out", "/run/proof.crt"])
    content = droplet.get("/run/proof.crt").decode() + droplet.get("/run/proof.key").decode()
    droplet.run(["rm", "/run/proof.key", "/run/proof.crt"])
    droplet.put(f"{SERVICES}/{service}.pem", content, mode=0o600)
    return content


def days(droplet: Droplet, number: int) -> str:
    return droplet.run(["date", "-u", f"--date={number} days", "+%Y%m%d%H%M%SZ"]).stdout.strip()


def authority(droplet: Droplet) -> str:
    index = json.loads(droplet.get(f"{SERVICES}/authorities.json"))
    return f"{SERVICES}/authority-{index['current']}.pem"


def test_certificates_near_their_end_are_renewed_without_a_restart_or_an_error(
    droplet: Droplet, load: Callable[..., Load]
) -> None:
    before = {service: serial(droplet, service) for service in ADDRESSES}
    running = started(droplet)
    users = load(10, 1.0)
    for service in ADDRESSES:
        write_certificate(droplet, service, authority(droplet), days(droplet, -200), days(droplet, 90))
    plan = call(droplet, "state.apply", "marketplace.cache,marketplace.database", "test=True")
    done = call(droplet, "state.apply", "marketplace.cache,marketplace.database")
    assert (plan.failed, done.failed) == ({}, {})
    expected = {
        "Ensure postgres has a certificate", "Ensure redis has a certificate", "Ensure PostgreSQL has its secrets",
        "Ensure Redis has its users", "Ensure PostgreSQL uses its configuration", "Ensure Redis listens as it should",
    }  # fmt: skip
    assert set(plan.changed) == set(done.changed) == expected
    assert call(droplet, "state.apply", "marketplace.cache,marketplace.database").changed == {}
    after = {service: serial(droplet, service) for service in ADDRESSES}
    assert all(after[service] != before[service] for service in ADDRESSES)
    users.pause_until(20)
    assert started(droplet) == running
    users.assert_lossless(droplet)


def edge_says(droplet: Droplet) -> dict[str, str]:
    found: dict[str, str] = json.loads(curl(droplet, "https://127.0.0.1/healthz")[1])["services"]
    return found


@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_the_edge_does_not_take_an_impostor_for_the_service(droplet: Droplet, service: str) -> None:
    assert edge_says(droplet)[service] == "healthy"
    foreign = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-noenc",
    ]
    droplet.run([*foreign, "-subj", "/CN=another", "-keyout", "/run/foreign.key", "-out", "/run/foreign.crt"])
    droplet.run(["sh", "-c", "umask 077; cat /run/foreign.crt /run/foreign.key > /run/foreign.pem"])
    kept = droplet.get(f"{SERVICES}/{service}.pem")
    content = write_certificate(droplet, service, "/run/foreign.pem", days(droplet, -1), days(droplet, 300))
    droplet.put(f"{SERVICES}/{service}.pem", kept, mode=0o600)
    droplet.put(f"/etc/marketplace/delivered/{service}/server.pem", content, mode=0o400)
    droplet.run(["chown", "999:999", f"/etc/marketplace/delivered/{service}/server.pem"])
    if service == "postgres":
        psql(droplet, "SELECT pg_reload_conf();")
    else:
        files = "tls-cert-file /run/secrets/server.pem tls-key-file /run/secrets/server.pem"
        redis(droplet, "operator", "redis_operator_password", "CONFIG", "SET", *files.split())
    seconds_until(lambda: edge_says(droplet)[service] == "unhealthy", 20)
    # It is put right by itself, though Redis's own operator could not trust it any more.
    done = call(droplet, "state.apply", "marketplace.cache,marketplace.database")
    assert done.failed == {}
    delivered = "Ensure PostgreSQL has its secrets" if service == "postgres" else "Ensure Redis has its users"
    assert delivered in done.changed
    seconds_until(lambda: set(edge_says(droplet).values()) == {"healthy"}, 30)
    droplet.run(["rm", "/run/foreign.key", "/run/foreign.crt", "/run/foreign.pem"])


def test_the_edge_sees_a_service_that_is_away(droplet: Droplet) -> None:
    droplet.run(["docker", "pause", "redis"])
    try:
        seconds_until(lambda: edge_says(droplet)["redis"] == "unhealthy", 20)
    finally:
        droplet.run(["docker", "unpause", "redis"])
    seconds_until(lambda: set(edge_says(droplet).values()) == {"healthy"}, 30)
