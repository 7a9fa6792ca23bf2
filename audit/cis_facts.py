"""What the CIS checks look at, collected from a droplet once."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tests.support.droplet.droplets import Droplet

FILES = (
    "/usr/lib/systemd/system/docker.service",
    "/usr/lib/systemd/system/docker.socket",
    "/etc/docker",
    "/etc/docker/daemon.json",
    "/etc/default/docker",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts about an engine and its containers.

    Args:
        info: ``docker info``.
        version: ``docker version``'s server part.
        daemon: /etc/docker/daemon.json.
        arguments: the engine's command line.
        bridge: ``docker network inspect bridge``.
        containers: name -> ``docker inspect``, of those that run.
        images: image id -> ``docker image inspect``.
        processes: container's name -> names of its processes.
        files: path -> (owner:group, permission bits).
        group: members of the group docker.
    """

    info: dict[str, Any]
    version: dict[str, Any]
    daemon: dict[str, Any]
    arguments: str
    bridge: dict[str, Any]
    containers: dict[str, dict[str, Any]]
    images: dict[str, dict[str, Any]]
    processes: dict[str, list[str]]
    files: dict[str, tuple[str, int]]
    group: list[str]


def collect(droplet: Droplet) -> Facts:
    """Look at everything there is."""

    def answer(*argv: str) -> Any:
        return json.loads(droplet.run(argv).stdout)

    names = droplet.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()
    containers = {item["Name"].lstrip("/"): item for item in answer("docker", "inspect", *names)}
    images = {item["Image"] for item in containers.values()}
    pid = droplet.run(["systemctl", "show", "--value", "--property=MainPID", "docker"]).stdout.strip()
    return Facts(
        info=answer("docker", "info", "--format", "{{json .}}"),
        version=answer("docker", "version", "--format", "{{json .Server}}"),
        daemon=answer("cat", "/etc/docker/daemon.json"),
        arguments=droplet.get(f"/proc/{pid}/cmdline").decode().replace("\0", " "),
        bridge=answer("docker", "network", "inspect", "bridge")[0],
        containers=containers,
        images={item["Id"]: item for item in answer("docker", "image", "inspect", *sorted(images))},
        processes={
            name: droplet.run(["docker", "top", name, "-o", "pid,comm"]).stdout.split()[3::2]
            for name in names
        },
        files={path: _file(droplet, path) for path in FILES},
        group=[
            name
            for name in droplet.run(["getent", "group", "docker"]).stdout.strip().split(":")[3].split(",")
            if name
        ],
    )


def _file(droplet: Droplet, path: str) -> tuple[str, int]:
    found = droplet.run(["stat", "--format=%U:%G %a", path], check=False).stdout.split()
    return (found[0], int(found[1], 8)) if found else ("", 0)
