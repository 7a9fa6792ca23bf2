"""The backend's compose document for one release and colour, and its one-off containers. Pure."""

from collections.abc import Mapping
from typing import Any

from marketplace_contract import Contract
from marketplace_log_places import docker_arguments, docker_logging
from marketplace_managed import TRUSTED, is_managed
from marketplace_schedule import Job

SECRETS = "/run/secrets"
# /tmp is for data: nothing in it is a program or a device.
_TMP = "/tmp:size=64m,mode=1777,noexec,nosuid,nodev"  # noqa: S108 - inside the container
_OPEN_FILES = 16384
# Container name of an image's one-off commands, of which only one may run.
MIGRATION = "migration"
# What a container of a scheduled job says of it.
JOB_LABEL, TIME_LABEL, TIMEOUT_LABEL = "marketplace.job", "marketplace.job.time", "marketplace.job.timeout"
_JOB = "job-"
# What runs beside the bot gives way to it: a container's usual share of a busy processor is 1024.
_JOB_SHARES = 128
# Where settings of an older tree say nothing of jobs: the setting's default.
_JOB_MEMORY = 128 << 20


def project(colour: str) -> str:
    """Compose project and container name of a colour's backend."""
    return f"backend-{colour}"


def worker(colour: str) -> str:
    """Container name of a colour's singleton worker."""
    return f"worker-{colour}"


def job_container(name: str) -> str:
    """Container name of a scheduled job, whichever the colour: it never runs twice at once."""
    return f"{_JOB}{name}"


def is_job(container: str) -> bool:
    """Whether a container's name is that of a scheduled job."""
    return container.startswith(_JOB)


def serves_here(settings: Mapping[str, Any]) -> bool:
    """Whether this host serves the bot. While another one does, nothing here acts for it unasked."""
    return bool(settings["telegram"].get("register", True))


def stop_seconds(settings: Mapping[str, Any]) -> int:
    """How long a container may take to stop before it is killed: what the application was promised, and some."""
    return int(settings["backend"]["stop_grace"]) + 5


def environment(
    settings: Mapping[str, Any], release: str, version: str, colour: str, role: str
) -> dict[str, str]:
    """The variables that the contract promises.

    Args:
        settings: the effective settings.
        release: release id; version: its version; colour: ``blue`` or ``green``.
        role: key of ``postgres.roles`` that the process logs in as (``application``, or ``owner`` for migrations).
    """
    backend, postgres, redis = settings["backend"], settings["postgres"], settings["redis"]
    # Settings that an older tree wrote into a journal know nothing of TLS: services are as those say, then.
    encrypted: dict[str, str] = {}
    if postgres.get("tls"):
        encrypted |= {"DATABASE_SSLMODE": "verify-full", "DATABASE_CA_FILE": _authority(postgres)}
    if redis.get("tls"):
        encrypted |= {"REDIS_TLS": "true", "REDIS_CA_FILE": _authority(redis)}
    given = {
        "PORT": backend["port"],
        "ENVIRONMENT": settings["environment"],
        "RELEASE": release,
        "VERSION": version,
        "COLOUR": colour,
        "DATABASE_HOST": postgres["address"],
        "DATABASE_PORT": postgres["port"],
        "DATABASE_NAME": postgres["database"],
        "DATABASE_USER": postgres["roles"][role],
        "DATABASE_PASSWORD_FILE": f"{SECRETS}/database_password",
        "REDIS_HOST": redis["address"],
        "REDIS_PORT": redis["port"],
        "REDIS_USER": redis["users"]["application"],
        "REDIS_PASSWORD_FILE": f"{SECRETS}/redis_password",
        "TELEGRAM_API_URL": settings["telegram"]["api_url"],
        "TELEGRAM_TOKEN_FILE": f"{SECRETS}/telegram_token",
        "WEBHOOK_PATH": settings["edge"]["webhook_path"],
        "WEBHOOK_SECRET_FILE": f"{SECRETS}/webhook_secret",
        "STOP_GRACE_SECONDS": backend["stop_grace"],
    }
    return {key: str(value) for key, value in (backend["environment"] | given | encrypted).items()}


def _authority(service: Mapping[str, Any]) -> str:
    """By whom PostgreSQL or Redis is known, as the application reads it."""
    return f"{SECRETS}/{service.get('trusted', TRUSTED)}"


def render(
    settings: Mapping[str, Any],
    contract: Contract,
    release: str,
    version: str,
    image: str,
    colour: str,
    delivered: str,
) -> dict[str, Any]:
    """The compose document of one release in one colour.

    Args:
        settings: the effective settings.
        contract: what the image declares.
        release: release id; version: its version; image: its reference with digest; colour: where it runs.
        delivered: directory whose files are the backend's secrets.
    """
    backend = settings["backend"]
    addresses = backend["addresses"][colour]
    limits = backend["limits"]
    common = {
        "image": image,
        "pull_policy": "never",
        "user": backend["user"],
        "read_only": True,
        "init": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": [_TMP],
        "mem_limit": limits["memory"],
        "memswap_limit": limits["memory"],
        "cpus": limits["cpus"],
        "pids_limit": limits["pids"],
        # No core: it would hold every secret. How many processes there may be, pids_limit says.
        "ulimits": {"core": 0, "nofile": {"soft": _OPEN_FILES, "hard": _OPEN_FILES}},
        "stop_grace_period": f"{stop_seconds(settings)}s",
        "restart": "unless-stopped",
        "environment": {
            key: _literal(value)
            for key, value in environment(settings, release, version, colour, "application").items()
        },
        "volumes": [
            {
                "type": "bind",
                "source": delivered,
                "target": SECRETS,
                "read_only": True,
                "bind": {"create_host_path": False},
            }
        ],
        "labels": {
            "marketplace.release": release,
            "marketplace.version": version,
            "marketplace.colour": colour,
        },
    }
    services: dict[str, Any] = {
        "backend": common
        | {
            "container_name": project(colour),
            "networks": {name: {"ipv4_address": addresses[name]} for name in ("app", "data")},
            "logging": docker_logging("backend", f"{project(colour)}/{release}"),
        }
    }
    if contract.worker:
        services["worker"] = common | {
            "container_name": worker(colour),
            "command": [_literal(word) for word in contract.worker],
            "networks": {"app": {}, "data": {}},
            "logging": docker_logging("worker", f"{worker(colour)}/{release}"),
            # A singleton is started by the engine alone: not by `compose up`, and not by Docker after a power loss.
            "profiles": ["worker"],
            "restart": "on-failure",
            # The image's own check asks an HTTP server, which a worker is not.
            "healthcheck": {"disable": True},
        }
    memory = limits.get("job_memory", _JOB_MEMORY)
    services |= {job_container(job.name): _job(job, common, memory) for job in contract.schedule}
    return {
        "name": project(colour),
        "services": services,
        "networks": {
            name: {"external": True, "name": settings["network"][name]["name"]} for name in ("app", "data")
        },
    }


def _job(job: Job, common: Mapping[str, Any], memory: int) -> dict[str, Any]:
    """A scheduled job's service: started by the engine alone, once for each run."""
    name = job_container(job.name)
    marks = {JOB_LABEL: job.name, TIME_LABEL: job.time, TIMEOUT_LABEL: str(job.timeout)}
    return {
        **common,
        "container_name": name,
        "command": [_literal(word) for word in job.command],
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpu_shares": _JOB_SHARES,
        "networks": {"app": {}, "data": {}},
        "logging": docker_logging("backend", f"{name}/{common['labels']['marketplace.release']}"),
        "profiles": ["job"],
        "restart": "no",
        "healthcheck": {"disable": True},
        "labels": common["labels"] | marks,
    }


def _literal(text: str) -> str:
    """Compose replaces $NAME by its own environment; a doubled dollar is a dollar."""
    return text.replace("$", "$$")


def one_off(
    settings: Mapping[str, Any],
    release: str,
    version: str,
    image: str,
    colour: str,
    command: tuple[str, ...],
    delivered: str,
    deadline: float,
    role: str = "owner",
) -> list[str]:
    """Arguments of ``docker run`` for one command in a container of its own, from the release's image.

    Args:
        command: argv inside the container; delivered: directory with its secrets; others as in :func:`render`.
        deadline: seconds that the command may take, which it is told.
        role: ``owner`` for what concerns the schema: on the data network only, unless the database is at a provider.
            ``application``, for hooks, is on the application's network as well, as the application is.
    """
    limits = settings["backend"]["limits"]
    variables = environment(settings, release, version, colour, role)
    variables["MIGRATION_TIMEOUT_SECONDS"] = f"{deadline:.0f}"
    entrypoint, *arguments = command
    networks = ["data"] if role == "owner" and not is_managed(settings, "postgres") else ["app", "data"]
    addresses = settings["backend"]["addresses"]["migration"]
    return [
        "--rm",
        "--init",
        f"--name={MIGRATION}",
        f"--user={settings['backend']['user']}",
        "--read-only",
        f"--tmpfs={_TMP}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges:true",
        f"--memory={limits['memory']}",
        f"--memory-swap={limits['memory']}",
        "--ulimit=core=0",
        f"--ulimit=nofile={_OPEN_FILES}",
        f"--cpus={limits['cpus']}",
        f"--pids-limit={limits['pids']}",
        *(f"--network=name={settings['network'][name]['name']},ip={addresses[name]}" for name in networks),
        f"--volume={delivered}:{SECRETS}:ro",
        f"--label=marketplace.release={release}",
        "--pull=never",
        "--no-healthcheck",
        *docker_arguments("backend", f"{MIGRATION}/{release}"),
        *(f"--env={key}={value}" for key, value in sorted(variables.items())),
        f"--entrypoint={entrypoint}",
        image,
        *arguments,
    ]
