"""What the watchdog has seen at one look, as plain data: rules judge it, tests make it up. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace_consumption import Group
from marketplace_container import ContainerState

Statistics = Mapping[tuple[str, str], Mapping[str, str]]
MACHINE = "droplet"
# Units of systemd's that start again what ends, by whom they are for people.
UNITS = {
    "edge": "haproxy.service",
    "docker": "docker.service",
    "containerd": "containerd.service",
    "alertmanager": "prometheus-alertmanager.service",
}
# HAProxy's row of the check of each service that is not the backend.
CHECKS = {"postgres": ("check_postgres", "postgres"), "redis": ("check_redis", "redis")}


def next_look(service: str) -> str:
    """The command that shows what a service has said last."""
    return (
        f"systemctl status {UNITS[service]}"
        if service in UNITS
        else f"salt-call deploy.logs service={service}"
    )


@dataclass(frozen=True)
class Seen:
    """One look.

    Attributes:
        at: when, in seconds since 1970.
        live: the live colour by the file; None where nothing is.
        containers: states by service (``postgres``, ``redis``, ``backend``, ``worker``) of those that exist; None while
            Docker does not answer.
        statistics: HAProxy's; None while it does not answer.
        has_worker: whether the live release has a worker that should run here.
        routed: the live colour as HAProxy has it.
        silent: for how many seconds HAProxy has not answered.
        edge_up: whether it should answer: systemd has started it, and nobody has stopped it.
        releasing: what holds the release lock, in words; empty while it is free.
        at_backups: what holds the backup lock, likewise.
        closed: who keeps the edge closed for updates.
        groups: what the machine and the services have used.
        disks: bytes used and in all, by whose file system it is.
        elsewhere: services at a provider, and where.
        drift: what the last look for drift has found (marketplace_drift_record); None where nobody has looked.
        unlooked: since when (seconds since 1970) nobody has looked for drift who should; None where somebody has.
    """

    at: float
    live: str | None = None
    containers: Mapping[str, ContainerState] | None = None
    has_worker: bool = False
    statistics: Statistics | None = None
    routed: str | None = None
    silent: float = 0.0
    edge_up: bool = True
    releasing: str = ""
    at_backups: str = ""
    closed: tuple[str, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, Any] | None = None
    unlooked: float | None = None

    def check(self, service: str) -> Mapping[str, str]:
        """What HAProxy says of its check of a service; empty where it says nothing."""
        colour = self.live or ""
        row = (f"check_{colour}", colour) if service == "backend" else CHECKS.get(service, ("", ""))
        return (self.statistics or {}).get(row, {})

    def last_check(self, service: str) -> str:
        """What became of HAProxy's last check of a service, as ``L7OK``; while the next one runs, it stars that."""
        return self.check(service).get("check_status", "").removeprefix("* ")

    def up_for(self, service: str) -> int | None:
        """For how many seconds a service has passed HAProxy's check; None while it does not."""
        row = self.check(service)
        passes = row.get("status", "").startswith("UP")
        return int(row["lastchg"]) if passes and row.get("lastchg", "").isdigit() else None

    def down_for(self, service: str) -> int | None:
        """For how many seconds a service has failed HAProxy's check; None while it does not."""
        row = self.check(service)
        fails = row.get("status", "").startswith("DOWN")
        return int(row["lastchg"]) if fails and row.get("lastchg", "").isdigit() else None

    @property
    def restoring(self) -> bool:
        """Whether somebody is putting a backup in the live database's place."""
        return "to=live" in self.at_backups
