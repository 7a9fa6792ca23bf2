"""The settings of PostgreSQL and Redis; part of marketplace_settings_model."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass
from typing import Any

from marketplace_settings_fields import derived, section, setting
from marketplace_settings_kinds import (
    Integer,
    ListOf,
    Number,
    Parameters,
    Text,
    UserIds,
    device,
    duration,
    name_kind,
    size,
)
from marketplace_settings_kinds_net import Authorities, Host, Repository
from marketplace_settings_vocabulary import OWN_PARAMETERS
from marketplace_units import MIB

_DIGEST = Text(
    '"sha256:" and 64 hexadecimal digits (make pins finds it)',
    "sha256 digest of the image",
    r"sha256:[0-9a-f]{64}",
    "a sha256 digest (sha256: and 64 hexadecimal digits)",
)


_DEVICE_DOC = "a block volume of at least that size for it; nothing: an image file on the droplet's own disk"


@dataclass(frozen=True, kw_only=True)
class PostgresLimits:
    memory: int = setting(size("1G", 128 * MIB), "memory; the server's tuning follows it", "1G")
    cpus: float = setting(Number("0.75", "number", 0.05, 256), "CPUs", 0.75)
    pids: int = setting(
        Integer("256", "whole number", 64, 32768),
        "processes and threads; 64 more than max_connections at least",
        256,
    )


@dataclass(frozen=True, kw_only=True)
class RedisLimits:
    memory: int = setting(
        size("384M", 64 * MIB), "memory; maxmemory is 45% of it, a snapshot may need as much again", "384M"
    )
    cpus: float = setting(Number("0.25", "number", 0.05, 256), "CPUs", 0.25)
    pids: int = setting(Integer("64", "whole number", 16, 32768), "processes and threads", 64)


@dataclass(frozen=True, kw_only=True)
class Roles:
    owner: str = setting(
        name_kind("marketplace_owner", "postgres"), "owns the schema, runs migrations", "marketplace_owner"
    )
    application: str = setting(name_kind("marketplace_app", "postgres"), "the backend's", "marketplace_app")
    backup: str = setting(name_kind("marketplace_backup", "postgres"), "takes backups", "marketplace_backup")
    monitoring: str = setting(
        name_kind("marketplace_monitor", "postgres"), "reads statistics", "marketplace_monitor"
    )


_THEIR_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,62}"


def _host(example: str) -> Any:
    return setting(
        Host(example, "host name or address, or nothing"),
        "the server at a managed provider (docs/managed.md); nothing: a container on this droplet",
        "",
    )


def _their_port(default: int) -> Any:
    return setting(Integer(f"{default}", "port", 1, 65535), "its port for TLS", default)


def _authorities() -> Any:
    return setting(
        Authorities("system", "certificates in PEM form, system, or nothing"),
        "by whom the server is known: the provider's authority, or system for those that the system trusts",
        "",
    )


@dataclass(frozen=True, kw_only=True)
class ManagedPostgres:
    host: str = _host("db-1.b.db.ondigitalocean.com")
    port: int = _their_port(25060)
    database: str = setting(
        Text("defaultdb", "name", _THEIR_NAME, "a database's name"),
        "the backend's database there",
        "defaultdb",
    )
    user: str = setting(
        Text("doadmin", "name", _THEIR_NAME, "a user's name"),
        "whom the backend logs in as; the password is the secret postgres_app_password",
        "doadmin",
    )
    owner: str = setting(
        Text("doadmin", "name, or nothing", _THEIR_NAME, "a user's name", optional=True),
        "who owns the schema and runs migrations, with the secret postgres_owner_password; nothing: the same user",
        "",
    )
    ca: str = _authorities()


@dataclass(frozen=True, kw_only=True)
class ManagedRedis:
    host: str = _host("cache-1.b.db.ondigitalocean.com")
    port: int = _their_port(25061)
    user: str = setting(
        Text("default", "name", _THEIR_NAME, "a user's name"),
        "whom the backend logs in as; the password is the secret redis_app_password",
        "default",
    )
    ca: str = _authorities()


@dataclass(frozen=True, kw_only=True)
class Postgres:
    managed: ManagedPostgres = section(ManagedPostgres, "at a managed provider")
    image: str = setting(Repository("postgres", "repository without tag"), "PostgreSQL's image", "postgres")
    tag: str = setting(
        Text(
            '"17.11"',
            "image tag of major version 17, in quotes",
            r"17(?![0-9])[A-Za-z0-9_.-]{0,120}",
            "a tag of PostgreSQL 17 (another major version needs a dump and a restore: docs/backups.md)",
        ),
        "for people; the digest decides",
    )
    digest: str = setting(_DIGEST, "the image to the byte")
    user: str = setting(UserIds('"999:999"', "numeric uid:gid"), "user and group it runs as", "999:999")
    database: str = setting(
        # What is loaded, set aside and restored beside it has such names, and is dropped by them.
        name_kind(
            "marketplace",
            "postgres",
            "template0",
            "template1",
            beginnings=("import_", "before_import_", "restore_point_", "spoiled_"),
        ),
        "the backend's database",
        "marketplace",
    )
    limits: PostgresLimits = section(PostgresLimits, "what it may use")
    disk: int = setting(size("20G", 256 * MIB), "size of its file system, allocated at once", "20G")
    device: str = setting(device(), _DEVICE_DOC, "")
    stop_grace: int = setting(duration("60", 10, 900), "how long it may take to stop", 60)
    max_connections: int = setting(Integer("100", "whole number", 20, 2000), "connections at a time", 100)
    roles: Roles = section(Roles, "names of its roles")
    parameters: dict[str, str] = setting(
        Parameters("{work_mem: 8MB}", "mapping of postgresql.conf parameters", OWN_PARAMETERS),
        "parameters that win over the computed ones",
        {},
    )
    reference: str = derived("image, tag and digest in one")
    address: str = derived("its fixed address on the data network, or the provider's host")
    port: int = derived("its port there")
    tls: bool = derived("whether clients have to use TLS")
    authority: str = derived("file with the authorities by which it is known")
    trusted: str = derived("name of that file among the secrets of the backend")
    owner_secret: str = derived("secret that the owner logs in with")
    shm_size: int = derived("bytes of /dev/shm, for parallel queries")
    tuning: dict[str, str] = derived("postgresql.conf parameters that follow limits, disk and CPUs")


@dataclass(frozen=True, kw_only=True)
class RedisUsers:
    application: str = setting(name_kind("marketplace", "default"), "the backend's ACL user", "marketplace")
    operator: str = setting(name_kind("operator", "default"), "the operator's ACL user", "operator")
    health: str = setting(name_kind("health", "default"), "the edge's health check's ACL user", "health")
    monitoring: str = setting(
        name_kind("monitoring", "default"), "the ACL user that reads statistics", "monitoring"
    )


@dataclass(frozen=True, kw_only=True)
class Redis:
    managed: ManagedRedis = section(ManagedRedis, "at a managed provider")
    image: str = setting(Repository("redis", "repository without tag"), "Redis's image", "redis")
    tag: str = setting(
        Text(
            '"8.10.1"',
            "image tag of major version 8, in quotes",
            r"8(?![0-9])[A-Za-z0-9_.-]{0,120}",
            "a tag of Redis 8",
        ),
        "for people; the digest decides",
    )
    digest: str = setting(_DIGEST, "the image to the byte")
    user: str = setting(UserIds('"999:999"', "numeric uid:gid"), "user and group it runs as", "999:999")
    limits: RedisLimits = section(RedisLimits, "what it may use")
    disk: int = setting(size("2G", 64 * MIB), "size of its file system, allocated at once", "2G")
    device: str = setting(device(), _DEVICE_DOC, "")
    stop_grace: int = setting(duration("30", 5, 900), "how long it may take to stop and save", 30)
    save: list[str] = setting(
        ListOf(
            '["3600 1", "300 100", "60 10000"]',
            'list of "seconds changes"',
            Text(
                '"300 100"',
                "seconds and changes",
                r"[1-9][0-9]{0,6} [1-9][0-9]{0,8}",
                'a "seconds changes" pair',
            ),
        ),
        "when a snapshot is taken: after so many seconds with so many changes",
        ["3600 1", "300 100", "60 10000"],
    )
    users: RedisUsers = section(RedisUsers, "names of its ACL users")
    reference: str = derived("image, tag and digest in one")
    address: str = derived("its fixed address on the data network, or the provider's host")
    port: int = derived("its port there, for TLS")
    plain_port: int = derived("its port without TLS, while a release of an older tree needs it")
    tls: bool = derived("whether clients have to use TLS")
    authority: str = derived("file with the authorities by which it is known")
    trusted: str = derived("name of that file among the secrets of the backend")
    maxmemory: int = derived("bytes of data it may hold: 45% of its memory, the rest is for snapshots")
