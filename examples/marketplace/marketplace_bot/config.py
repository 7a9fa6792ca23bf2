"""What the process is told by its environment. Secrets come from files, so that no value shows in `docker inspect`."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class ConfigError(Exception):
    """The environment is unusable. Carries every problem, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Database:
    """How to reach PostgreSQL. With `ca` only with TLS, and only a server that these authorities vouch for."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    ca: Path | None = None


@dataclass(frozen=True)
class Migration:
    """What a migration is told. It may take `seconds`; soon after that it is killed."""

    database: Database
    seconds: int


@dataclass(frozen=True)
class Redis:
    """How to reach Redis; `ca` as for PostgreSQL."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: Path | None = None


@dataclass(frozen=True)
class Identity:
    """Which release this process is. `build` is baked into the image; the rest is told by the deployment."""

    version: str
    release: str
    colour: str
    environment: str
    build: str


@dataclass(frozen=True)
class Config:
    """Everything the server needs. Times are in seconds."""

    identity: Identity
    database: Database
    redis: Redis
    port: int
    log_level: str
    telegram_api_url: str
    telegram_token: str = field(repr=False)
    webhook_path: str
    webhook_secret: str = field(repr=False)
    stop_grace: int
    pool_size: int

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never reach a log line."""
        return (self.telegram_token, self.webhook_secret, self.database.password, self.redis.password)


class _Reader:
    """Reads variables and remembers every problem instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str | None = None, example: str = "") -> str:
        value = self.environ.get(name, "") or default
        if value is None:
            self.problems.append(f"{name} is not set; for example {name}={example}")
            return ""
        return value

    def number(self, name: str, default: int | None, low: int, high: int, example: str = "") -> int:
        value = self.text(name, None if default is None else str(default), example)
        if not value:
            return low
        if not value.isdigit() or not low <= int(value) <= high:
            self.problems.append(f"{name} must be a whole number from {low} to {high}, not {value!r}")
            return low
        return int(value)

    def secret(self, name: str, file: str) -> str:
        path = self.text(name, None, f"/run/secrets/{file}")
        if not path:
            return ""
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{name} names {path}, which can't be read: {type(error).__name__}")
            return ""
        if not value:
            self.problems.append(f"{name} names {path}, which is empty")
        return value

    def choice(self, name: str, values: tuple[str, ...]) -> str:
        """One of `values`, the first by default."""
        value = self.text(name, values[0])
        if value not in values:
            self.problems.append(f"{name} must be {' or '.join(values)}, not {value!r}")
        return value

    def authorities(self, name: str) -> Path | None:
        """A file of certificates to know a server by, which TLS can use."""
        path = self.text(name, None, "/run/secrets/ca.pem")
        if not path:
            return None
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            self.problems.append(f"{name} names {path}, which holds no certificates: {type(error).__name__}")
        return Path(path)


def _database(read: _Reader) -> Database:
    verified = read.choice("DATABASE_SSLMODE", ("prefer", "verify-full")) == "verify-full"
    return Database(
        host=read.text("DATABASE_HOST", None, "10.213.20.10"),
        port=read.number("DATABASE_PORT", 5432, 1, 65535),
        name=read.text("DATABASE_NAME", None, "marketplace"),
        user=read.text("DATABASE_USER", None, "marketplace_app"),
        password=read.secret("DATABASE_PASSWORD_FILE", "database_password"),
        ca=read.authorities("DATABASE_CA_FILE") if verified else None,
    )


def load_migration(environ: Mapping[str, str]) -> Migration:
    """Read what migrations need, and nothing else. Raises ConfigError with every problem."""
    read = _Reader(environ)
    migration = Migration(
        database=_database(read),
        seconds=read.number("MIGRATION_TIMEOUT_SECONDS", 300, 1, 86400),
    )
    if read.problems:
        raise ConfigError(read.problems)
    return migration


def load(environ: Mapping[str, str]) -> Config:
    """Read everything the server needs. Raises ConfigError with every problem, never with a secret's value."""
    read = _Reader(environ)
    redis_tls = read.choice("REDIS_TLS", ("false", "true")) == "true"
    config = Config(
        identity=Identity(
            version=read.text("VERSION", environ.get("BUILD_VERSION", "unknown")),
            release=read.text("RELEASE", "none"),
            colour=read.text("COLOUR", "none"),
            environment=read.text("ENVIRONMENT", "development"),
            build=read.text("BUILD_VERSION", "unknown"),
        ),
        database=_database(read),
        redis=Redis(
            host=read.text("REDIS_HOST", None, "10.213.20.11"),
            port=read.number("REDIS_PORT", 6379, 1, 65535),
            user=read.text("REDIS_USER", "default"),
            password=read.secret("REDIS_PASSWORD_FILE", "redis_password"),
            ca=read.authorities("REDIS_CA_FILE") if redis_tls else None,
        ),
        port=read.number("PORT", 8080, 1, 65535),
        log_level=read.text("LOG_LEVEL", "info").upper(),
        telegram_api_url=read.text("TELEGRAM_API_URL", "https://api.telegram.org").rstrip("/"),
        telegram_token=read.secret("TELEGRAM_TOKEN_FILE", "telegram_token"),
        webhook_path=read.text("WEBHOOK_PATH", "/telegram/webhook"),
        webhook_secret=read.secret("WEBHOOK_SECRET_FILE", "webhook_secret"),
        stop_grace=read.number("STOP_GRACE_SECONDS", 30, 1, 600),
        pool_size=read.number("DATABASE_POOL_SIZE", 8, 1, 50),
    )
    if config.telegram_token and not re.fullmatch(r"\d+:[A-Za-z0-9_-]{30,}", config.telegram_token):
        read.problems.append(
            "TELEGRAM_TOKEN_FILE does not hold a bot token (digits, a colon, 30 or more letters)"
        )
    if not config.webhook_path.startswith("/"):
        read.problems.append(f"WEBHOOK_PATH must begin with a slash, not {config.webhook_path!r}")
    if config.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        read.problems.append(
            f"LOG_LEVEL must be debug, info, warning or error, not {config.log_level.lower()!r}"
        )
    if read.problems:
        raise ConfigError(read.problems)
    return config
