"""A managed provider on a site's network: PostgreSQL and Redis that nobody here administers, behind TLS of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from .certificates import Authority
from .errors import DropletError
from .machine import Machine

DATABASE_HOST, DATABASE_PORT = "db.test", 25060
CACHE_HOST, CACHE_PORT = "cache.test", 25061
DATABASE, USER, OWNER = "defaultdb", "bot_app", "bot_owner"
_HBA = "local all all trust\nhostssl all all all scram-sha-256\n"
# Both wait for their certificate, which comes when their address is known to be theirs.
_WAIT = "until [ -s /tls/key.pem ]; do sleep 0.1; done; "
# As a console makes them: the owner of the database is no superuser, and the user only reads and writes.
_ROLES = f"""
CREATE ROLE {OWNER} LOGIN PASSWORD :'owner';
CREATE ROLE {USER} LOGIN PASSWORD :'user';
CREATE DATABASE {DATABASE} OWNER {OWNER};
\\connect {DATABASE}
GRANT USAGE ON SCHEMA public TO {USER};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {USER};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {USER};
"""


def database_command(password: str) -> list[str]:
    """What PostgreSQL's image is started with."""
    server = (
        "exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/tls/certificate.pem"
        f" -c ssl_key_file=/tls/key.pem -c hba_file=/tls/pg_hba.conf -c port={DATABASE_PORT}"
    )
    return ["sh", "-c", f"{_WAIT} export POSTGRES_PASSWORD={password}; {server}"]


def cache_command(password: str) -> list[str]:
    """What Redis's image is started with."""
    server = (
        f"exec redis-server --port 0 --tls-port {CACHE_PORT} --tls-cert-file /tls/certificate.pem"
        f" --tls-key-file /tls/key.pem --tls-auth-clients no --requirepass {password} --save ''"
    )
    return ["sh", "-c", _WAIT + server]


class Provider:
    """Its two services, and what a customer gets to know of them."""

    def __init__(
        self, network: str, database: Machine, cache: Machine, authority: Authority, secret: str
    ) -> None:
        self.network = network
        self.database, self.cache = database, cache
        self.authority = authority
        self.secret = secret

    def serve(self) -> Provider:
        """Give both their certificates, where they have none, and wait until they answer."""
        certified(self.database, self.authority, DATABASE_HOST)
        certified(self.cache, self.authority, CACHE_HOST)
        self.database.put("/tls/pg_hba.conf", _HBA)
        for machine in (self.database, self.cache):
            # The last: who waits for it finds all.
            machine.run(["sh", "-c", "test -e /tls/key.pem || mv /tls/key.new /tls/key.pem"])
        _wait(lambda: self.psql("SELECT 1", database="postgres", check=False) == "1", "PostgreSQL")
        _wait(lambda: self.redis("PING\n").strip() == '"PONG"', "Redis")
        if not self.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{USER}'", database="postgres"):
            self.psql(_ROLES, database="postgres", variables={"owner": self.secret, "user": self.secret})
        return self

    def pillar(self, local: dict[str, Any], authority: bytes | None = None) -> dict[str, Any]:
        """A pillar that has both here instead of on the droplet.

        Args:
            local: the pillar that has them there.
            authority: another one than the provider's, PEM.
        """
        trusted = (authority or self.authority.certificate).decode()
        database = {"host": DATABASE_HOST, "port": DATABASE_PORT, "database": DATABASE}
        users = {"user": USER, "owner": OWNER}
        cache = {"host": CACHE_HOST, "port": CACHE_PORT, "user": "default"}
        images = {name: _without(local[name], "disk") for name in ("postgres", "redis")}
        names = ("postgres_app_password", "postgres_owner_password", "redis_app_password")
        return local | {
            "postgres": images["postgres"] | {"managed": {**database, **users, "ca": trusted}},
            "redis": images["redis"] | {"managed": {**cache, "ca": trusted}},
            "secrets": local["secrets"] | {name: {"value": self.secret} for name in names},
        }

    def empty(self) -> None:
        """Forget what other tests have left."""
        self.psql(f"DROP SCHEMA public CASCADE; SET ROLE {OWNER}; CREATE SCHEMA public")
        self.psql(f"GRANT USAGE ON SCHEMA public TO {USER}")
        self.redis("FLUSHALL\n")

    def psql(
        self,
        query: str,
        database: str = DATABASE,
        check: bool = True,
        variables: dict[str, str] | None = None,
    ) -> str:
        """What a script prints, run by the provider's own superuser."""
        given = [f"--set={name}={value}" for name, value in (variables or {}).items()]
        command = ["psql", "-h", "/var/run/postgresql", "-p", str(DATABASE_PORT), "-U", "postgres", "-qAtX"]
        return self.database.run([*command, *given, "-d", database], stdin=query, check=check).stdout.strip()

    def redis(self, script: str) -> str:
        """What Redis answers to commands, a line of JSON each."""
        tool = ["redis-cli", "--tls", "--insecure", "--json", "-p", str(CACHE_PORT)]
        asked = self.cache.run(tool, stdin=script, environment={"REDISCLI_AUTH": self.secret}, check=False)
        return asked.stdout

    @contextlib.contextmanager
    def away(self, machine: Machine) -> Iterator[None]:
        """One of the two is out of reach, and its name unknown, inside the block. It keeps what it holds."""
        aliases = [DATABASE_HOST if machine is self.database else CACHE_HOST]
        network = machine.client.networks.get(self.network)
        network.disconnect(machine.container)
        try:
            yield
        finally:
            network.connect(machine.container, aliases=aliases)


def _without(section: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name not in names}


def certified(machine: Machine, authority: Authority, host: str) -> None:
    """Put a certificate and its key where the server waits for them."""
    if machine.run(["test", "-s", "/tls/key.pem"], check=False).returncode:
        certificate, key = authority.issue(host)
        machine.put("/tls/certificate.pem", certificate)
        machine.put("/tls/key.new", key, mode=0o600, owner=(999, 999))


def _wait(answers: Callable[[], bool], what: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(DropletError):
            if answers():
                return
        time.sleep(0.1)
    raise DropletError(f"the provider's {what} does not answer after {timeout:.0f} s")
