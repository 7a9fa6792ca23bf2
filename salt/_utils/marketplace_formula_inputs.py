"""What the formulas are given, derived from the settings.

The formulas know nothing of this deployment: each reads its own pillar key. The external pillar adds these keys
beside ``settings``, so that pillar says a thing once (``postgres:disk``) and the volume, the engine's drop-in and the
compose project all follow it.
"""

import ipaddress
from typing import Any

from marketplace_paths import Paths


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
    mounts = {name: f"/srv/data/{name}" for name in ("postgres", "redis")}
    return {
        "minion": {"configuration": "marketplace"},
        "time": {"timezone": settings["droplet"]["timezone"]},
        "swap": {"size": settings["droplet"]["swap"]},
        "docker": {
            "mounts": sorted(mounts.values()),
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
                "docker0": {"egress": False},
                app["bridge"]: {"egress": True},
                data["bridge"]: {"egress": False},
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
                path: {
                    "image": f"/var/lib/marketplace/volumes/{name}.img",
                    "device": settings[name]["device"],
                    "size": settings[name]["disk"],
                    "directory": "data",
                    "user": int(settings[name]["user"].split(":")[0]),
                    "group": int(settings[name]["user"].split(":")[1]),
                }
                for name, path in mounts.items()
            }
        },
        "certbot": {
            "address": "127.0.0.1",
            "port": 8888,
            "renew": "/usr/local/bin/salt-call --local --retcode-passthrough certificate.renew",
        },
        "haproxy": {
            "config": "salt://marketplace/files/haproxy.cfg.jinja",
            "files": [
                "/etc/haproxy/secrets/webhook_paths",
                "/etc/haproxy/secrets/webhook_secrets",
                "/etc/haproxy/services/ca.pem",
            ],
        },
    }
