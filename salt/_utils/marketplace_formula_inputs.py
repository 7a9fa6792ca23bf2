"""What the formulas are given, derived from the settings.

The formulas know nothing of this deployment: each reads its own pillar key. The external pillar adds these keys
beside ``settings``, so that pillar says a thing once (``postgres:disk``) and the volume, the engine's drop-in and the
compose project all follow it.
"""

import ipaddress
from typing import Any

from marketplace_alert_routes import configuration, credentials
from marketplace_log_places import SHARES, journal, socket
from marketplace_managed import names_of, ours
from marketplace_metrics import EXPORTERS, RULES, exporters, units
from marketplace_metrics import configuration as measured
from marketplace_paths import Paths

BACKUPS = "/var/backups/marketplace"
# Debian's user `backup`, whose number is the same everywhere.
BACKUP_USER = 34


def by_family(networks: list[str]) -> dict[str, list[str]]:
    """Sort CIDR networks into ``{"ipv4": [...], "ipv6": [...]}`` (a packet filter's sets hold one family each)."""
    sorted_networks: dict[str, list[str]] = {"ipv4": [], "ipv6": []}
    for network in networks:
        parsed = ipaddress.ip_network(network, strict=False)
        sorted_networks[f"ipv{parsed.version}"].append(str(parsed))
    return sorted_networks


def formula_inputs(settings: dict[str, Any]) -> dict[str, Any]:
    """Derive every formula's pillar from normalised settings.

    Args:
        settings: ``pillar["settings"]``; sizes in bytes.

    Returns:
        One entry a formula, keyed as the formula reads it.
    """
    docker, app, data = (settings["network"][name] for name in ("docker", "app", "data"))
    bridge_prefix = docker["subnet"].rsplit("/", 1)[1]
    mounts = {name: f"/srv/data/{name}" for name in ours(settings)}
    owners = {name: settings[name]["user"].split(":") for name in mounts}
    return {
        "minion": {"configuration": "marketplace"},
        # No formula's: who is here, and who at a provider.
        "services": names_of(settings),
        "time": {"timezone": settings["droplet"]["timezone"]},
        "swap": {"size": settings["droplet"]["swap"]},
        "docker": {
            "mounts": sorted(mounts.values()),
            # Of the edge's check, every other second: it has seen what it wanted, and hangs up.
            "unkept": ["health@health LOG:  could not receive data from client"],
            "daemon": {
                "bip": f"{docker['gateway']}/{bridge_prefix}",
                "default-address-pools": [{"base": docker["pool"], "size": 24}],
            },
        },
        "firewall": {
            "ssh_sources": by_family(settings["firewall"]["ssh_sources"]),
            "ssh_rate": settings["firewall"]["ssh_rate"],
            "ssh_burst": settings["firewall"]["ssh_burst"],
            "ports": [80, 443],
            "bridges": {
                "docker0": {"subnet": docker["subnet"], "egress": False},
                app["bridge"]: {"subnet": app["subnet"], "egress": True},
                data["bridge"]: {"subnet": data["subnet"], "egress": False},
            },
        },
        "logs": {
            "writers": ["docker.service", "haproxy.service"],
            "journal": journal(settings["logs"]["size"], settings["logs"]["keep_days"], None),
            "namespaces": {
                name: journal(settings["logs"]["size"], settings["logs"]["keep_days"], name)
                for name in SHARES
            },
        },
        "updates": {
            "reboot": settings["updates"]["reboot"],
            "reboot_time": settings["updates"]["reboot_time"],
            "reboot_lock": str(Paths().lock),
            "keep_running": ["marketplace-.*"],
        },
        "volumes": {
            "mounts": {
                path: _volume(settings, name, *(int(number) for number in owners[name]))
                for name, path in mounts.items()
            }
            # Who gets along with their directory being read by others: the records in it are root's.
            | {
                BACKUPS: _volume(settings, "backup", BACKUP_USER, BACKUP_USER)
                | {"mode": "0711", "with_releases": False}
            }
        },
        "barman": {
            "home": f"{Paths().backups}/barman",
            "servers": {
                "postgres": {
                    "host": settings["postgres"]["address"],
                    "port": settings["postgres"]["port"],
                    "user": settings["postgres"]["roles"]["backup"],
                    "passfile": f"{Paths().delivered}/backup/pgpass",
                    "authority": f"{Paths().delivered}/backup/ca.pem",
                }
            },
        },
        "certbot": {
            "address": "127.0.0.1",
            "port": 8888,
            "renew": "/usr/local/bin/salt-call --local --retcode-passthrough certificate.renew",
        },
        "alertmanager": {
            "config": configuration(settings, "/etc/prometheus/alertmanager_templates/*.tmpl"),
            "credentials": {name: str(Paths().secrets / name) for name in credentials(settings)},
            "memory": settings["monitoring"]["limits"]["memory"],
        },
        "prometheus": {
            "config": measured(settings),
            "rules": RULES,
            "keep_days": settings["monitoring"]["metrics"]["keep_days"],
            "size": settings["monitoring"]["metrics"]["size"],
            "memory": settings["monitoring"]["metrics"]["memory"],
            "before": str(Paths().before),
        },
        "exporters": {
            "units": exporters(settings),
            "removed": [name for name in EXPORTERS if name not in units(settings)],
            "before": str(Paths().before),
        },
        "haproxy": {
            "log_socket": socket("edge"),
            "config": "salt://marketplace/files/haproxy.cfg.jinja",
            "files": [
                "/etc/haproxy/secrets/backend_secret",
                "/etc/haproxy/secrets/webhook_paths",
                "/etc/haproxy/secrets/webhook_secrets",
                "/etc/haproxy/services/ca.pem",
                "/etc/haproxy/services/redis.pem",
            ],
        },
    }


def _volume(settings: dict[str, Any], name: str, user: int, group: int) -> dict[str, Any]:
    return {
        "image": f"/var/lib/marketplace/volumes/{name}.img",
        "device": settings[name]["device"],
        "size": settings[name]["disk"],
        "directory": "data",
        "user": user,
        "group": group,
    }
