"""A look at the droplet that costs milliseconds: the sockets of Docker and HAProxy, the kernel's counts, the locks."""

import contextlib
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from marketplace_consumption import Group, disks, machine, service
from marketplace_container import ContainerState, DockerError
from marketplace_docker_socket import DockerSocket
from marketplace_durable import read_json
from marketplace_edge import Edge, EdgeError
from marketplace_lock import Lock
from marketplace_managed import ours, place, theirs
from marketplace_paths import Paths
from marketplace_release_compose import project, serves_here, worker
from marketplace_watch_seen import MACHINE, UNITS, Seen

# HAProxy answers in milliseconds; a look must not wait for one that hangs.
_EDGE_SECONDS = 2.0
# What systemd calls a unit that was started, and is neither on its way there nor off.
_UP = ("active", "reloading")


class Look:
    """Looks again and again.

    Args:
        paths: the droplet's files.
    """

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.docker = DockerSocket(paths.docker_socket)
        self._edge = Edge(paths.live_map, paths.maintenance_map, paths.admin_socket, patience=_EDGE_SECONDS)
        self._silent_since: float | None = None

    def seen(self, settings: Mapping[str, Any]) -> Seen:
        """What there is to see now.

        Args:
            settings: the effective settings.
        """
        try:
            live = self._edge.live()
        except EdgeError:
            live = None
        elsewhere = {name: place(settings, name) for name in theirs(settings)}
        containers = self._containers(live, ours(settings))
        statistics, routed = None, None
        with contextlib.suppress(EdgeError):
            statistics = self._edge.statistics()
            routed = self._edge.runtime_live()
        wanted = bool(settings["monitoring"].get("drift"))
        drift = self._drift() if wanted else None
        now = time.monotonic()
        if statistics is not None:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
        return Seen(
            at=time.time(),
            live=live,
            containers=containers,
            has_worker=serves_here(settings) and self._has_worker(containers or {}),
            statistics=statistics,
            routed=routed,
            silent=0.0 if self._silent_since is None else now - self._silent_since,
            edge_up=statistics is not None or is_up(UNITS["edge"]),
            releasing=_held(Lock(self.paths.lock).holder()),
            at_backups=_held(Lock(self.paths.backup_lock).holder()),
            closed=tuple(keeper for keeper, on in self._edge.maintenance().items() if on),
            groups=_groups(settings, containers or {}),
            disks=disks(self.paths.file_systems),
            elsewhere=elsewhere,
            drift=drift,
            unlooked=self._applied() if wanted and drift is None else None,
        )

    def _drift(self) -> dict[str, Any] | None:
        # One that can't be read is said by whoever is asked for it (deploy.status) and written anew by the next look.
        with contextlib.suppress(ValueError, OSError):
            return read_json(self.paths.drift)
        return None

    def _applied(self) -> float | None:
        with contextlib.suppress(OSError):
            return self.paths.applied.stat().st_mtime
        return None

    def _has_worker(self, containers: Mapping[str, ContainerState]) -> bool:
        state = containers.get("backend")
        release = "" if state is None else state.labels.get("marketplace.release", "")
        # Without its files it can't be told, and there would be nothing to start it by.
        with contextlib.suppress(ValueError, OSError):
            contract = read_json(self.paths.releases / release / "contract.json") if release else None
            return bool((contract or {}).get("worker"))
        return False

    def _containers(self, live: str | None, data: tuple[str, ...]) -> dict[str, ContainerState] | None:
        names = {name: name for name in data}
        if live:
            names |= {"backend": project(live), "worker": worker(live)}
        try:
            states = self.docker.containers(*names.values())
        except DockerError:
            return None
        return {service: states[name] for service, name in names.items() if name in states}


def is_up(unit: str) -> bool:
    """Whether systemd has started a unit, and nobody has stopped it; also where nobody can tell."""
    ask = ["systemctl", "show", "--property=ActiveState", "--value", unit]
    try:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=_EDGE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return True
    return told.stdout.strip() in _UP


def _groups(settings: Mapping[str, Any], containers: Mapping[str, ContainerState]) -> dict[str, Group]:
    found = {MACHINE: machine()}
    for name, state in containers.items():
        limits = settings["backend" if name == "worker" else name]["limits"]
        found[name] = service(state.pid, limits["cpus"]) if state.running else None
    return {name: group for name, group in found.items() if group is not None}


def _held(holder: Mapping[str, Any] | None) -> str:
    return "" if holder is None else str(holder.get("doing", "somebody"))
