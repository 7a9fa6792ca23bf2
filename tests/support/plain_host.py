"""A host as a team has it before it moves in: Docker, one compose file, a proxy with a certificate."""

from __future__ import annotations

import json
import secrets

import yaml
from marketplace_telegram import BotApi as Api
from marketplace_telegram import Webhook

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result
from tests.support.droplet.site import BOTAPI_PORT, Images, Site
from tests.support.waiting import seconds_until

HOME = "/root/bot"
PATH = "/telegram/webhook"
PSQL = ("exec", "-T", "postgres", "psql", "-U", "bot", "-qAtX", "bot", "-c")
PROXY = """\
defaults
  mode http
  timeout connect 1s
  timeout client 70s
  timeout server 70s
frontend edge
  bind :443 ssl crt /etc/haproxy/edge.pem
  default_backend bot
backend bot
  server bot 127.0.0.1:8080
"""


class PlainHost:
    """The bot on a host of its own, ``old.test``, as ``docker compose up`` leaves it."""

    def __init__(self, site: Site, images: Images) -> None:
        self.site, self.images = site, images
        self.machine: Droplet = site.droplet("old")
        self.password, self.secret = secrets.token_hex(16), secrets.token_urlsafe(24)

    def start(self) -> None:
        """Bring everything up, and register the webhook."""
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends"]
        self.machine.run(["apt-get", "update", "-qq"])
        self.machine.run([*install, "docker.io", "docker-cli", "docker-compose", "haproxy", "openssl"])
        files = {
            "database_password": self.password,
            "redis_password": self.password,
            "telegram_token": self.site.token,
            "webhook_secret": self.secret,
        }
        for name, value in files.items():
            self.machine.put(f"{HOME}/secrets/{name}", value, mode=0o644)
        self.machine.put(f"{HOME}/compose.yaml", yaml.safe_dump(self._described()))
        self.compose("up", "--detach", "postgres", "redis")
        seconds_until(lambda: self.compose(*PSQL, "SELECT 1", check=False).ok, 60)
        self.compose("run", "--rm", "bot", "python3", "-m", "marketplace_bot.migrate", "upgrade")
        self.compose("up", "--detach", "bot")
        certificate, key = self.site.authority.issue("old.test")
        self.machine.put("/etc/haproxy/edge.pem", certificate + key, mode=0o600)
        self.machine.put("/etc/haproxy/haproxy.cfg", PROXY)
        self.machine.run(["systemctl", "restart", "haproxy"])
        seconds_until(self._ready, 60)
        wanted = Webhook(f"https://old.test{PATH}", self.secret, ("message",), 40, certificate.decode())
        Api(f"http://{self.site.botapi().address()}:{BOTAPI_PORT}", self.site.token).set_webhook(wanted)

    def compose(self, *arguments: str, check: bool = True) -> Result:
        """``docker compose`` in the team's directory."""
        return self.machine.run(["docker", "compose", "--project-directory", HOME, *arguments], check=check)

    def sql(self, query: str) -> str:
        """What psql prints."""
        return self.compose(*PSQL, query).stdout.strip()

    def redis(self, *command: str) -> str:
        """What Redis answers to a command."""
        tool = ["redis-cli", "--no-auth-warning", "-a", self.password]
        return self.compose("exec", "-T", "redis", *tool, *command).stdout.strip()

    def dump(self) -> tuple[bytes, bytes]:
        """The database and the cache, as docs/moving.md has them written."""
        written = "pg_dump -U bot --format=custom --file=/tmp/bot.dump bot"
        self.compose("exec", "-T", "postgres", *written.split())
        self.compose("cp", "postgres:/tmp/bot.dump", f"{HOME}/bot.dump")
        self.redis("SAVE")
        return self.machine.get(f"{HOME}/bot.dump"), self.machine.get(f"{HOME}/redis/dump.rdb")

    def _ready(self) -> bool:
        page = ["curl", "--silent", "--insecure", "https://127.0.0.1/health/ready"]
        said = self.machine.run(page, check=False).stdout
        return said.startswith("{") and json.loads(said).get("status") == "ready"

    def _described(self) -> dict[str, object]:
        images = self.images
        return {
            "services": {
                "postgres": {
                    "image": images.postgres.reference,
                    "environment": {"POSTGRES_USER": "bot", "POSTGRES_PASSWORD": self.password},
                    "volumes": ["./postgres:/var/lib/postgresql/data"],
                },
                "redis": {
                    "image": images.redis.reference,
                    "command": ["redis-server", "--requirepass", self.password],
                    "volumes": ["./redis:/data"],
                },
                "bot": {
                    "image": images.backend.reference,
                    "environment": {
                        "PORT": "8080", "DATABASE_HOST": "postgres", "DATABASE_NAME": "bot", "DATABASE_USER": "bot",
                        "REDIS_HOST": "redis", "TELEGRAM_API_URL": f"http://botapi.test:{BOTAPI_PORT}",
                        "DATABASE_PASSWORD_FILE": "/run/secrets/database_password",
                        "REDIS_PASSWORD_FILE": "/run/secrets/redis_password",
                        "TELEGRAM_TOKEN_FILE": "/run/secrets/telegram_token",
                        "WEBHOOK_SECRET_FILE": "/run/secrets/webhook_secret", "WEBHOOK_PATH": PATH,
                    },
                    "volumes": ["./secrets:/run/secrets:ro"],
                    "ports": ["127.0.0.1:8080:8080"],
                },
            }
        }  # fmt: skip
