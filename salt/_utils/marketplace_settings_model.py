"""Every setting there is: the typed, frozen form of the pillar, and (through its fields) the pillar's grammar."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass

from marketplace_settings_fields import derived, section, setting
from marketplace_settings_kinds import (
    Boolean,
    Commands,
    Integer,
    Number,
    Text,
    UserIds,
    Variables,
    duration,
    port,
    size,
)
from marketplace_settings_kinds_net import RegistryServer, Repository, Subnet
from marketplace_settings_model_backup import Backup
from marketplace_settings_model_data import Postgres, Redis
from marketplace_settings_model_edge import Edge, Telegram
from marketplace_settings_model_host import Firewall, Logs, Updates
from marketplace_settings_model_watch import Alerts, Monitoring
from marketplace_settings_vocabulary import CONTRACT_VARIABLES
from marketplace_units import MIB

_TAG_TEXT = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"


@dataclass(frozen=True, kw_only=True)
class Reserve:
    memory: int = setting(size("384M", 0), "memory kept for the host itself", "384M")
    disk: int = setting(size("10G", 0), "disk kept for the system and images", "10G")


@dataclass(frozen=True, kw_only=True)
class Droplet:
    memory: int = setting(size("4G", 512 * MIB), "memory the droplet was bought with", "4G")
    disk: int = setting(size("80G", 1024 * MIB), "disk the droplet was bought with", "80G")
    cpus: int = setting(Integer("2", "whole number", 1, 256), "virtual CPUs of the droplet", 2)
    swap: int = setting(
        size("1G", 0), "size of the swap file; 0 makes none, and leaves one that is there", "1G"
    )
    timezone: str = setting(
        Text("Etc/UTC", "IANA time zone", r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*", "a time zone's name"),
        "the host's time zone",
        "Etc/UTC",
    )
    example_names: bool = setting(
        Boolean("true", "true or false"),
        "whether names like bot.example.com are taken for real ones: for a droplet to try things on",
        False,
    )
    reserve: Reserve = section(Reserve, "what the limits below leave to the host")


@dataclass(frozen=True, kw_only=True)
class DockerNetwork:
    subnet: str = setting(
        Subnet("10.213.0.0/24", "private IPv4 network"), "the docker0 bridge", "10.213.0.0/24"
    )
    pool: str = setting(
        Subnet("10.213.128.0/17", "private IPv4 network, /24 or larger", longest=24),
        "where Docker takes networks from that nobody gave an address",
        "10.213.128.0/17",
    )
    gateway: str = derived("the host's address on docker0")


@dataclass(frozen=True, kw_only=True)
class AppNetwork:
    subnet: str = setting(
        Subnet("10.213.10.0/24", "private IPv4 network, /27 or larger"),
        "the network with a way out, for the backend",
        "10.213.10.0/24",
    )
    name: str = derived("its name in Docker")
    bridge: str = derived("its interface on the host")
    gateway: str = derived("the host's address on it")


@dataclass(frozen=True, kw_only=True)
class DataNetwork:
    subnet: str = setting(
        Subnet("10.213.20.0/24", "private IPv4 network, /27 or larger"),
        "the network without a way out, for PostgreSQL and Redis",
        "10.213.20.0/24",
    )
    name: str = derived("its name in Docker")
    bridge: str = derived("its interface on the host")
    gateway: str = derived("the host's address on it")


@dataclass(frozen=True, kw_only=True)
class Network:
    docker: DockerNetwork = section(DockerNetwork, "Docker's own")
    app: AppNetwork = section(AppNetwork, "the backend and the way out")
    data: DataNetwork = section(DataNetwork, "the data services")


@dataclass(frozen=True, kw_only=True)
class Registry:
    server: str = setting(
        RegistryServer("registry.example.com", "host and optional port"), "private registry to log in to", ""
    )
    username: str = setting(
        Text("robot", "text without spaces and colons", r"[!-9;-~]{1,128}", "a user name", optional=True),
        "user at the private registry; its password is the secret registry_password",
        "",
    )


@dataclass(frozen=True, kw_only=True)
class BackendLimits:
    memory: int = setting(size("512M", 64 * MIB), "memory of one colour; two run during a release", "512M")
    job_memory: int = setting(
        size("128M", 32 * MIB), "memory of a scheduled job; they run one after the other", "128M"
    )
    cpus: float = setting(Number("0.75", "number", 0.05, 256), "CPUs of one colour", 0.75)
    pids: int = setting(Integer("256", "whole number", 16, 32768), "processes and threads of one colour", 256)


@dataclass(frozen=True, kw_only=True)
class Address:
    app: str = derived("address on the app network")
    data: str = derived("address on the data network")


@dataclass(frozen=True, kw_only=True)
class BackendAddresses:
    blue: Address = derived("the blue colour's")
    green: Address = derived("the green colour's")
    migration: Address = derived("the migration container's")


_COMMANDS = Commands(
    '[["/usr/local/bin/before-release", "--quiet"]]',
    "list of commands, each a list of a program and its arguments",
)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    before: list[list[str]] = setting(
        _COMMANDS, "run as root before a release changes anything; one that fails refuses the release", []
    )
    after: list[list[str]] = setting(
        _COMMANDS, "run as root behind a release that is live; one that fails is reported", []
    )


@dataclass(frozen=True, kw_only=True)
class Backend:
    image: str = setting(
        Repository(
            "ghcr.io/team/marketplace", "repository with its registry, without tag", registry_needed=True
        ),
        "the bot's image",
    )
    version: str = setting(
        Text('"1.0.0"', "image tag, in quotes", _TAG_TEXT, "an image tag", refused=("latest",)),
        "tag of the first release (of every release with follow_pillar); "
        "deploy.release without a version ships it, unless another is live",
    )
    follow_pillar: bool = setting(
        Boolean("false", "true or false"),
        "whether state.apply releases backend.version whenever it changes",
        False,
    )
    keep_releases: int = setting(
        Integer("5", "whole number", 2, 50),
        "releases before the live one to keep for a rollback; images of older ones are removed",
        5,
    )
    user: str = setting(
        UserIds('"10001:10001"', "numeric uid:gid"), "user and group it runs as", "10001:10001"
    )
    port: int = setting(port(), "port the application listens on", 8080)
    limits: BackendLimits = section(BackendLimits, "what one colour may use")
    environment: dict[str, str] = setting(
        Variables("{LOG_LEVEL: info}", "mapping of plain values", CONTRACT_VARIABLES),
        "extra environment variables; no secrets",
        {},
    )
    ready_timeout: int = setting(duration("60", 5, 900), "how long a new colour may take to be ready", 60)
    stop_grace: int = setting(duration("30", 5, 300), "how long it may take to stop", 30)
    migration_timeout: int = setting(duration("300", 10, 7200), "how long a migration may take", 300)
    soak: int = setting(
        duration("20", 0, 3600),
        "how long a new version is watched before the old one is stopped; 0 does not watch",
        20,
    )
    soak_errors: float = setting(
        Number("5", "percent, 0.1 to 100", 0.1, 100),
        "share of answers with 5xx during the soak that takes a release back",
        5,
    )
    hooks: Hooks = section(Hooks, "commands around a release")
    hook_timeout: int = setting(duration("60", 1, 3600), "how long one command of backend.hooks may take", 60)
    disk_reserve: int = setting(size("2G", 0), "disk that a release must leave free, or it is refused", "2G")
    addresses: BackendAddresses = derived("fixed container addresses")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The effective settings: what /etc/marketplace/settings.json holds."""

    droplet: Droplet = section(Droplet, "the machine")
    network: Network = section(Network, "container networks")
    registry: Registry = section(Registry, "a private image registry")
    backend: Backend = section(Backend, "the bot")
    postgres: Postgres = section(Postgres, "the database")
    redis: Redis = section(Redis, "the cache")
    backup: Backup = section(Backup, "what is kept of the data elsewhere")
    edge: Edge = section(Edge, "HTTPS")
    telegram: Telegram = section(Telegram, "the Bot API")
    firewall: Firewall = section(Firewall, "who may come in")
    updates: Updates = section(Updates, "security updates of the system")
    logs: Logs = section(Logs, "how long and how much is kept of what is logged")
    monitoring: Monitoring = section(Monitoring, "what is watched, and from where on it is too much")
    alerts: Alerts = section(Alerts, "who is told")
    schema: int = derived("version of this layout")
    environment: str = derived("the minion id up to its first dash")
    secrets: dict[str, str] = derived("where each secret comes from: given or generated; never a value")
