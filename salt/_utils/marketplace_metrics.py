"""What Prometheus measures where ``monitoring.strength`` is full: its configuration and its exporters'. Pure.

Everything listens on the loopback. What people are told of by it is in ``marketplace/files/metrics-rules.yml``.
Source of Prometheus's keys: https://prometheus.io/docs/prometheus/2.53/configuration/configuration/
"""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace_managed import theirs
from marketplace_paths import Paths

PROMETHEUS = "prometheus"
NODE, POSTGRES, REDIS, BLACKBOX = (
    f"prometheus-{name}-exporter" for name in ("node", "postgres", "redis", "blackbox")
)
# Packages, by the ports where they listen.
EXPORTERS = {NODE: 9100, POSTGRES: 9187, REDIS: 9121, BLACKBOX: 9115}
RULES = {
    "host": "salt://prometheus/files/rules.yml",
    "services": "salt://marketplace/files/metrics-rules.yml",
}
# Where the host's exporter finds what others have written down for it: the package makes it.
TEXTFILES = "/var/lib/prometheus/node-exporter"
# Who reads what is delivered there.
CONSUMER = "monitoring"
_PORT, _ALERTMANAGER_PORT, _HAPROXY_PORT = 9090, 9093, 8405
# What a probe asks; the edge listens on every address.
_PROBED, _MODULE = "https://127.0.0.1/healthz", "healthz"
_DROPLET = "droplet"
# How long it may take to notice: the watchdog is there for what hurries.
_INTERVAL, _PROBE_INTERVAL = "30s", "15s"
_COLLECTORS = (
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "pressure",
    "stat",
    "textfile",
    "time",
    "vmstat",
)
# Of several hundred: what is asked of the edge, of the two colours, and of what it checks.
_HAPROXY = (
    "process_(current_connections|max_connections|uptime_seconds)",
    "frontend_(current_sessions|http_requests_total|http_responses_total|bytes_in_total|bytes_out_total)",
    "backend_(current_queue|http_responses_total|response_errors_total|connection_errors_total|active_servers)",
    "backend_(queue|connect|response|total)_time_average_seconds",
    "backend_max_total_time_seconds",
)
_POSTGRES = (
    "up",
    "database_size_bytes",
    "exporter_last_scrape_.*",
    "locks_count",
    "replication_slot_.*",
    "stat_bgwriter_.*",
    "stat_database_.*",
    "wal_.*",
)


def units(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Units that run as long as they are wanted; an older tree's settings want none."""
    return (PROMETHEUS, *measuring(theirs(settings))) if wanted(settings) else ()


def measuring(managed: Iterable[str]) -> tuple[str, ...]:
    """The exporters that run. What is at a provider, the provider measures.

    Args:
        managed: the services that are at one.
    """
    spared = {"postgres": POSTGRES, "redis": REDIS}
    return tuple(name for name in EXPORTERS if name not in [spared[service] for service in managed])


def wanted(settings: Mapping[str, Any]) -> bool:
    """Whether there is a Prometheus; an older tree's settings say nothing of it."""
    return bool((settings.get("monitoring") or {}).get("strength") == "full")


def configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of prometheus.yml.

    Args:
        settings: the effective settings.
    """
    application = settings["postgres"]["roles"]["application"]
    document: dict[str, Any] = {
        "global": {
            "scrape_interval": _INTERVAL,
            "scrape_timeout": "10s",
            "evaluation_interval": _INTERVAL,
            # As the watchdog names it.
            "external_labels": {"droplet": settings["environment"]},
        },
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_loopback(_ALERTMANAGER_PORT)]}]}]},
        "rule_files": [f"/etc/prometheus/rules/{name}.yml" for name in RULES],
        "scrape_configs": [
            _job("prometheus", _PORT, "prometheus", PROMETHEUS),
            _job("alertmanager", _ALERTMANAGER_PORT, "alertmanager", "prometheus-alertmanager"),
            _job("host", EXPORTERS[NODE], _DROPLET, NODE, relabel=_by_service()),
            _job(
                "postgres",
                EXPORTERS[POSTGRES],
                "postgres",
                POSTGRES,
                # How long the application's statements take is what is of interest, and not what backups do.
                relabel=[
                    _keep(
                        f"pg_stat_statements_(calls|seconds)_total;{application}|pg_({'|'.join(_POSTGRES)});.*",
                        "user",
                    )
                ],
            ),
            _job("redis", EXPORTERS[REDIS], "redis", REDIS),
            _job(
                "edge",
                _HAPROXY_PORT,
                "edge",
                "haproxy",
                relabel=[_keep(f"haproxy_({'|'.join(_HAPROXY)})")],
                params={"scope": ["global", "frontend", "backend"]},
            ),
            {
                **_job("probes", EXPORTERS[BLACKBOX], "edge", BLACKBOX),
                "scrape_interval": _PROBE_INTERVAL,
                "metrics_path": "/probe",
                "params": {"module": [_MODULE], "target": [_PROBED]},
            },
        ],
    }
    away = theirs(settings)
    jobs = [job for job in document["scrape_configs"] if job["job_name"] not in away]
    return document | {"scrape_configs": jobs}


def exporters(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The exporters, by package, as ``formulas/exporters`` reads them.

    Args:
        settings: the effective settings.
    """
    delivered, places = Paths().delivered / CONSUMER, "|".join(map(str, Paths().file_systems.values()))
    postgres, redis = settings["postgres"], settings["redis"]
    memory = settings["monitoring"]["metrics"]["exporter_memory"]

    def exporter(package: str, arguments: Iterable[str], **other: Any) -> dict[str, Any]:
        return {
            "listen": _loopback(EXPORTERS[package]),
            "arguments": list(arguments),
            "environment": {},
            "credentials": {},
            "reaches": [],
            "config": {},
            "proc": "pid",
            "memory": memory,
            **other,
        }

    every = {
        NODE: exporter(
            NODE,
            (
                "--web.disable-exporter-metrics",
                "--collector.disable-defaults",
                *(f"--collector.{name}" for name in _COLLECTORS),
                f"--collector.textfile.directory={TEXTFILES}",
                # Those of the watchdog, whatever they are on.
                f"--collector.filesystem.mount-points-include=^({places})$",
                "--collector.filesystem.fs-types-exclude=^$",
                # Every container has one, under another name each time.
                "--collector.netdev.device-exclude=^(lo|veth.*)$",
                "--log.level=warn",
            ),
            proc="all",
        ),
        POSTGRES: exporter(
            POSTGRES,
            (
                f"--config.file=/etc/exporters/{POSTGRES}.yml",
                "--disable-default-metrics",
                "--disable-settings-metrics",
                "--collector.stat_statements",
                "--no-collector.stat_user_tables",
                "--no-collector.statio_user_tables",
                "--log.level=error",
            ),
            environment={
                "DATA_SOURCE_URI": f"{postgres['address']}:{postgres['port']}/postgres"
                f"?sslmode=verify-full&sslrootcert={_credential(POSTGRES, 'ca.pem')}",
                "DATA_SOURCE_USER": postgres["roles"]["monitoring"],
                "DATA_SOURCE_PASS_FILE": _credential(POSTGRES, "postgres_password"),
            },
            credentials={name: str(delivered / name) for name in ("ca.pem", "postgres_password")},
            reaches=[postgres["address"]],
        ),
        REDIS: exporter(
            REDIS,
            (
                "--redis-only-metrics",
                "--set-client-name=false",
                "--exclude-latency-histogram-metrics",
                "--config-command=-",
            ),
            environment={
                "REDIS_ADDR": f"rediss://{redis['address']}:{redis['port']}",
                "REDIS_USER": redis["users"]["monitoring"],
                "REDIS_PASSWORD_FILE": _credential(REDIS, "redis_passwords.json"),
                "REDIS_EXPORTER_TLS_CA_CERT_FILE": _credential(REDIS, "ca.pem"),
            },
            credentials={name: str(delivered / name) for name in ("ca.pem", "redis_passwords.json")},
            reaches=[redis["address"]],
        ),
        BLACKBOX: exporter(
            BLACKBOX,
            (f"--config.file=/etc/exporters/{BLACKBOX}.yml", "--history.limit=5", "--log.level=warn"),
            config={"modules": {_MODULE: _healthz(settings["edge"]["domains"][0])}},
        ),
    }
    return {name: every[name] for name in measuring(theirs(settings))}


def _healthz(domain: str) -> dict[str, Any]:
    """How the edge is asked whether it takes updates. Whose certificate it has, health.check looks after."""
    return {
        "prober": "http",
        "timeout": "5s",
        "http": {
            "preferred_ip_protocol": "ip4",
            "headers": {"Host": domain},
            "tls_config": {"server_name": domain, "insecure_skip_verify": True},
        },
    }


def _by_service() -> list[dict[str, Any]]:
    """Each file system is its service's, as the watchdog names it."""
    return [
        {"source_labels": ["mountpoint"], "regex": str(path), "target_label": "service", "replacement": name}
        for name, path in Paths().file_systems.items()
    ]


def _job(
    name: str,
    port: int,
    service: str,
    unit: str,
    relabel: Iterable[Mapping[str, Any]] = (),
    params: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    """A target on the loopback, and whose it is, and what runs it."""
    static = {"targets": [_loopback(port)], "labels": {"service": service, "unit": unit}}
    # What a program says of the language it is written in.
    noise = {"source_labels": ["__name__"], "regex": "(go|promhttp|net_conntrack)_.*", "action": "drop"}
    job = {"job_name": name, "static_configs": [static], "metric_relabel_configs": [noise, *relabel]}
    return job | ({"params": dict(params)} if params else {})


def _keep(what: str, *labels: str) -> dict[str, Any]:
    """Only series that fit: by their name, and the values of ``labels`` behind semicolons."""
    return {"source_labels": ["__name__", *labels], "regex": what, "action": "keep"}


def _loopback(port: int) -> str:
    return f"127.0.0.1:{port}"


def _credential(unit: str, name: str) -> str:
    return f"/run/credentials/{unit}.service/{name}"
