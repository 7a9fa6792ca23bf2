"""The example backend in containers as the droplet runs it, without a droplet: PostgreSQL, Redis, Bot API, colours.

What the deployment sets up around an image is repeated here in its smallest form: roles and default privileges, a Redis
user, secret files, a read-only root, no capabilities. Tests of the application contract need no more.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.botapi.client import BotApi
from tests.support.droplet import image
from tests.support.droplet.errors import CommandFailed
from tests.support.droplet.machine import Machine
from tests.support.droplet.paths import LABEL, site_dir
from tests.support.droplet.site import BACKEND, BOTAPI, BOTAPI_PORT, Site

PORT = 8080
USER = 10001
TOKEN = "7000000001:" + "A" * 35
HOOK_SECRET = "hook-secret"
SERVICES = ("postgres", "redis", "botapi")
PASSWORDS = {
    "owner": "owner-password",
    "app": "app-password",
    "redis": "redis-password",
    "superuser": "super-password",
}

REDIS = f"""redis-server --save 3600 1 --user default off
    --user marketplace on >{PASSWORDS["redis"]} ~* +@all -@admin -@dangerous""".split()

ROLES = f"""
CREATE ROLE marketplace_owner LOGIN PASSWORD '{PASSWORDS["owner"]}';
CREATE ROLE marketplace_app LOGIN PASSWORD '{PASSWORDS["app"]}';
CREATE DATABASE marketplace OWNER marketplace_owner;
\\connect marketplace
ALTER SCHEMA public OWNER TO marketplace_owner;
GRANT USAGE ON SCHEMA public TO marketplace_app;
"""

PRIVILEGES = """
ALTER DEFAULT PRIVILEGES FOR ROLE marketplace_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO marketplace_app;
ALTER DEFAULT PRIVILEGES FOR ROLE marketplace_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO marketplace_app;
"""


def wait_until(true: Callable[[], object], what: str, timeout: float = 60) -> None:
    """Wait for a condition. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.1)


class Backend(Machine):
    """One running container of the example."""

    def page(self, path: str) -> tuple[int, Any]:
        """GET a page from the host: status and decoded JSON; (0, reason) while nothing answers."""
        url = f"http://{self.address()}:{PORT}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (OSError, ValueError) as error:
            return 0, str(error)

    @property
    def ready(self) -> bool:
        return self.page("/health/ready")[0] == 200

    def wait_ready(self, timeout: float = 90) -> None:
        """Wait until /health/ready says 200. Raises TimeoutError with the container's last lines."""
        try:
            wait_until(lambda: self.ready, f"{self.name} ready", timeout)
        except TimeoutError as error:
            last = self.container.logs(tail=10).decode(errors="replace")
            raise TimeoutError(f"{error}: {self.page('/health/ready')}\n{last}") from None

    def stop(self, grace: int = 30) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after `grace` seconds: exit code and seconds taken."""
        started = time.monotonic()
        self.container.stop(timeout=grace)
        return int(self.container.wait()["StatusCode"]), time.monotonic() - started

    def lines(self) -> list[dict[str, Any]]:
        """Its log, a decoded object a line. Raises ValueError for a line that is no JSON."""
        return [json.loads(line) for line in self.container.logs(stderr=False).decode().splitlines()]


class Stack:
    """PostgreSQL 17, Redis 8 and the Bot API stand-in on a site's network, and backends by colour."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._blue: Backend | None = None
        self.client = site.client
        say = site.say
        # Docker hands out the low addresses; these are out of its way.
        postgres = ["postgres", "-c", "fsync=off", "-c", "max_connections=60"]
        self.postgres = self._start(
            "postgres",
            image.build(self.client, "postgres", say),
            210,
            postgres,
            POSTGRES_PASSWORD=PASSWORDS["superuser"],
        )
        self.redis = self._start("redis", image.build(self.client, "redis", say), 211, REDIS)
        stand_in = image.build_app(self.client, "botapi", BOTAPI, say)
        self.botapi = site.machine("botapi", stand_in, ["botapi.test"], ["--local"])
        self.botapi.wait_healthy()
        self.telegram = BotApi(f"http://{self.botapi.address()}:{BOTAPI_PORT}", TOKEN)
        self.wait_postgres()
        wait_until(
            lambda: self.redis.running and self.redis.run(["redis-cli", "ping"], check=False).ok, "Redis", 20
        )
        self.postgres_address, self.redis_address = self.postgres.address(), self.redis.address()
        self._psql("postgres", ROLES + PRIVILEGES)

    def _start(self, role: str, tag: str, number: int, command: list[str], **environment: str) -> Machine:
        """A service at a fixed address, as on the droplet: it is still there after a restart."""
        address = str(ipaddress.ip_network(self.site.subnets[0])[number])
        api = self.client.api
        made = api.create_container(
            tag, command, name=f"{self.site.prefix}-{role}", labels={LABEL: self.site.name}, environment=environment,
            host_config=api.create_host_config(network_mode=self.site.network),
            networking_config=api.create_networking_config(
                {self.site.network: api.create_endpoint_config(ipv4_address=address)}
            ),
        )  # fmt: skip
        machine = Machine(self.client, self.client.containers.get(made["Id"]))
        machine.container.start()
        return machine

    def image(self, version: str = "1.0.0", variant: str = "", **arguments: str) -> str:
        """The tag of a version of the example, built when it is not there; `arguments` are more build arguments."""
        if variant:
            arguments["VARIANT"] = variant
        return image.build_app(self.client, "backend", BACKEND, self.site.say, VERSION=version, **arguments)

    def wait_postgres(self) -> None:
        argv = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "SELECT 1"]
        environment = {"PGPASSWORD": PASSWORDS["superuser"]}
        wait_until(lambda: self.postgres.run(argv, check=False, environment=environment).ok, "PostgreSQL")

    def _psql(self, database: str, script: str) -> str:
        argv = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1", database]
        return self.postgres.run(
            argv, stdin=script, environment={"PGPASSWORD": PASSWORDS["superuser"]}
        ).stdout.strip()

    def sql(self, script: str) -> str:
        """What psql prints for a script in the application's database: rows by line, columns by `|`."""
        return self._psql("marketplace", script)

    @contextlib.contextmanager
    def session(self, script: str) -> Iterator[None]:
        """Somebody at work in the database, for as long as the block: a session that runs `script` and stays open."""

        def work() -> None:
            with contextlib.suppress(CommandFailed):  # It is ended below.
                self.sql(f"{script} SELECT pg_sleep(300);")

        found = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(300)%'"
        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: self.sql(f"SELECT count(*) {found}") == "1", "the session")
        try:
            yield
        finally:
            self.sql(f"SELECT pg_terminate_backend(pid) {found}")
            thread.join()

    def create(self, tag: str, role: str, command: list[str] | None = None, **environment: str) -> Backend:
        """A container of the example as the contract has it, not started: non-root, read-only, no capabilities.

        A role that begins with `migration` gets the owner's secrets; any other is a colour's, or the worker.
        """
        owner = role.startswith("migration")
        secrets = {"database_password": PASSWORDS["owner" if owner else "app"]}
        if not owner:
            secrets |= {
                "redis_password": PASSWORDS["redis"],
                "telegram_token": TOKEN,
                "webhook_secret": HOOK_SECRET,
            }
        variables = {
            "DATABASE_HOST": self.postgres_address, "DATABASE_NAME": "marketplace",
            "DATABASE_USER": "marketplace_owner" if owner else "marketplace_app",
            **{f"{name.upper()}_FILE": f"/run/secrets/{name}" for name in secrets},
        }  # fmt: skip
        if not owner:
            variables |= {
                "REDIS_HOST": self.redis_address, "REDIS_USER": "marketplace", "COLOUR": role, "RELEASE": f"r-{role}",
                "TELEGRAM_API_URL": f"http://{self.botapi.address()}:{BOTAPI_PORT}",
                "WEBHOOK_PATH": "/telegram/webhook", "STOP_GRACE_SECONDS": "20",
            }  # fmt: skip
        api = self.client.api
        made = api.create_container(
            tag, command, name=f"{self.site.prefix}-{role}", labels={LABEL: self.site.name}, user=f"{USER}:{USER}",
            environment={**variables, **environment},
            host_config=api.create_host_config(
                network_mode=self.site.network, read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"],
                security_opt=["no-new-privileges"], mem_limit="300m", pids_limit=256,
                binds={str(self._deliver(role, secrets)): {"bind": "/run/secrets", "mode": "ro"}},
            ),
        )  # fmt: skip
        return Backend(self.client, self.client.containers.get(made["Id"]))

    def _deliver(self, role: str, secrets: dict[str, str]) -> Path:
        """A directory with the secrets of one container, readable by its user alone."""
        directory = site_dir(self.site.name) / "secrets" / role
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        for name, value in secrets.items():
            file = directory / name
            file.unlink(missing_ok=True)
            file.touch(0o400)
            file.write_text(value)
            os.chown(file, USER, USER)
        return directory

    def start(self, tag: str, colour: str, **environment: str) -> Backend:
        """A backend, running, ready or not."""
        backend = self.create(tag, colour, **environment)
        backend.container.start()
        return backend

    def migrate(
        self,
        tag: str,
        label: str = "marketplace.migrate",
        role: str = "migration",
        more: Sequence[str] = (),
        **environment: str,
    ) -> tuple[int, str]:
        """Run one of the commands that an image's labels name, as the owner: exit code, and stdout with stderr.

        Args:
            more: arguments that the deployment adds.
            environment: variables beside the database's.
        """
        command = json.loads(self.client.images.get(tag).labels[label])
        backend = self.create(tag, role, [*command, *more], **environment)
        try:
            backend.container.start()
            code = int(backend.container.wait()["StatusCode"])
            return code, backend.container.logs().decode().strip()
        finally:
            backend.destroy()

    def attach(self, backend: Backend) -> None:
        """Point the webhook at a backend, as the edge would."""
        url = f"http://{backend.address()}:{PORT}/telegram/webhook"

        def attached() -> bool:
            try:
                self.telegram.call("setWebhook", url=url, secret_token=HOOK_SECRET, max_connections=40)
            except RuntimeError as error:
                if "Too Many Requests" not in str(error):
                    raise
                return False
            return True

        wait_until(attached, "setWebhook", 10)

    def settled(self, timeout: float = 60) -> dict[str, Any]:
        """The stand-in's figures, once no update waits any more."""
        wait_until(lambda: not self.telegram.stats()["updates"]["pending"], "updates delivered", timeout)
        return self.telegram.stats()

    def clear(self) -> None:
        """An empty database, no backends, an empty stand-in."""
        for container in self.client.containers.list(
            all=True, filters={"label": f"{LABEL}={self.site.name}"}
        ):
            if container.name.removeprefix(f"{self.site.prefix}-") not in SERVICES:
                container.remove(force=True, v=True)
        self._blue = None
        self.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION marketplace_owner;")
        self.sql("GRANT USAGE ON SCHEMA public TO marketplace_app;" + PRIVILEGES)
        self.telegram.call("deleteWebhook", drop_pending_updates="true")
        self.telegram.reset()

    def first_release(self) -> Backend:
        """Version 1.0.0, ready, with an empty database, and Telegram's webhook at it. Used again while it is as new."""
        blue = self._blue
        if blue is None or not blue.running or self.revision != "0001" or not blue.ready:
            self.clear()
            code, output = self.migrate(self.image())
            if code:
                raise RuntimeError(f"migration failed: {output}")
            self._blue = blue = self.start(self.image(), "blue")
            blue.wait_ready()
        self.telegram.call("deleteWebhook", drop_pending_updates="true")
        self.sql("TRUNCATE users, listings, handled_updates, outgoing_messages RESTART IDENTITY")
        self.telegram.reset()
        self.attach(blue)
        return blue

    def restore(self) -> None:
        """Start the services that a test stopped and has not started again."""
        for machine in (self.postgres, self.redis, self.botapi):
            if not machine.running:
                machine.container.start()
        self.wait_postgres()

    @property
    def revision(self) -> str:
        """The schema's revision; "" before the first migration, and after everything was taken back."""
        if self.sql("SELECT to_regclass('alembic_version') IS NULL") == "t":
            return ""
        return self.sql("SELECT version_num FROM alembic_version")
