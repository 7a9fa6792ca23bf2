"""Sections 4 and 5: images and running containers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .cis_facts import Facts

Check = Callable[[Facts], list[str]]
Container = dict[str, Any]

SENSITIVE = (
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/sys",
    "/usr",
    "/root",
    "/var",
    "/var/lib",
    "/run",
)
_SECRET = re.compile(r"^[A-Z_]*(?:PASSWORD|TOKEN|SECRET|KEY)=.+")


def _each(wrong: Callable[[Container], Any]) -> Check:
    """Every container of which ``wrong`` says something (a text, or True)."""

    def check(facts: Facts) -> list[str]:
        said = ((name, wrong(container)) for name, container in sorted(facts.containers.items()))
        return [f"{name}: {text}" if isinstance(text, str) else name for name, text in said if text]

    return check


def _host(name: str, wrong: Callable[[Any], Any]) -> Check:
    """Every container whose HostConfig has a ``name`` of which ``wrong`` says something."""
    return _each(lambda container: wrong(container["HostConfig"].get(name)))


def _mounts(wrong: Callable[[dict[str, Any]], bool]) -> Check:
    return _each(
        lambda c: ", ".join(mount["Source"] for mount in c["Mounts"] if mount.get("Source") and wrong(mount))
    )


def _tag(container: Container) -> str:
    reference = container["Config"]["Image"]
    pinned = "@sha256:" in reference or reference.startswith("sha256:")
    return "" if pinned else f"{reference} is not pinned by digest"


def _sshd(facts: Facts) -> list[str]:
    return [name for name, processes in sorted(facts.processes.items()) if "sshd" in processes]


def _image_secrets(facts: Facts) -> list[str]:
    return [
        f"{(image['RepoTags'] or [number])[0]}: {entry.partition('=')[0]}"
        for number, image in sorted(facts.images.items())
        for entry in image["Config"].get("Env") or []
        if _SECRET.match(entry)
    ]


def _options(container: Container) -> list[str]:
    return container["HostConfig"].get("SecurityOpt") or []


CHECKS: dict[str, tuple[str, Check]] = {
    "4.1": (
        "Containers run as an ordinary user",
        _each(lambda c: c["Config"]["User"].split(":")[0] in ("", "0", "root")),
    ),
    "4.2": ("Images are trusted", _each(_tag)),
    "4.5": ("Content trust is on", lambda _: ["DOCKER_CONTENT_TRUST is not set"]),
    "4.6": ("Containers have health checks", _each(lambda c: not c["Config"].get("Healthcheck"))),
    "4.8": (
        "setuid programs give nothing",
        _each(lambda c: not any(option.startswith("no-new-privileges") for option in _options(c))),
    ),
    "4.10": ("No secrets in images", _image_secrets),
    "5.1": (
        "Swarm mode is off",
        lambda f: [] if f.info["Swarm"]["LocalNodeState"] == "inactive" else ["it is on"],
    ),
    "5.2": (
        "An AppArmor profile is on",
        _each(lambda c: c.get("AppArmorProfile") in ("", "unconfined") and "none"),
    ),
    "5.4": (
        "Capabilities are few",
        _each(lambda c: c["HostConfig"].get("CapAdd") or c["HostConfig"].get("CapDrop") != ["ALL"]),
    ),
    "5.5": ("No privileged containers", _host("Privileged", bool)),
    "5.6": (
        "No sensitive directories of the host are mounted",
        _mounts(lambda mount: mount["Source"].rstrip("/") in {path.rstrip("/") for path in SENSITIVE}),
    ),
    "5.7": ("No SSH server in containers", _sshd),
    "5.8": ("No privileged ports are published", _host("PortBindings", bool)),
    "5.9": ("Only needed ports are open", _host("PublishAllPorts", bool)),
    "5.10": ("Networks are not the host's", _host("NetworkMode", lambda mode: mode == "host")),
    "5.11": ("Memory is limited", _host("Memory", lambda size: not size)),
    "5.12": (
        "CPU is limited",
        _each(lambda c: not (c["HostConfig"].get("NanoCpus") or c["HostConfig"].get("CpuShares"))),
    ),
    "5.13": ("Root file systems are read-only", _host("ReadonlyRootfs", lambda on: not on)),
    "5.14": (
        "Published ports are bound to one interface",
        _host(
            "PortBindings",
            lambda ports: any(
                bind["HostIp"] in ("", "0.0.0.0", "::") for binds in (ports or {}).values() for bind in binds
            ),
        ),
    ),
    "5.15": (
        "Restarts are limited",
        _host(
            "RestartPolicy",
            lambda policy: policy["Name"] not in ("no", "", "on-failure") and policy["Name"],
        ),
    ),
    "5.16": ("Process namespaces are not the host's", _host("PidMode", lambda mode: mode == "host")),
    "5.17": ("IPC namespaces are not the host's", _host("IpcMode", lambda mode: mode == "host")),
    "5.18": ("No devices of the host", _host("Devices", bool)),
    "5.19": (
        "Default ulimits are not raised",
        _host(
            "Ulimits",
            lambda limits: any(limit["Name"] == "core" and limit["Hard"] != 0 for limit in limits or []),
        ),
    ),
    "5.20": ("Mounts are not shared", _mounts(lambda mount: mount.get("Propagation") == "shared")),
    "5.21": ("UTS namespaces are not the host's", _host("UTSMode", lambda mode: mode == "host")),
    "5.22": ("seccomp is on", _each(lambda c: any("seccomp=unconfined" in option for option in _options(c)))),
    "5.25": ("cgroups are confirmed", _host("CgroupParent", bool)),
    "5.26": (
        "No new privileges",
        _each(lambda c: not any(option.startswith("no-new-privileges") for option in _options(c))),
    ),
    "5.27": (
        "Health is checked",
        _each(lambda c: c["State"].get("Health", {}).get("Status") != "healthy" and "not healthy"),
    ),
    "5.29": ("Processes are limited", _host("PidsLimit", lambda limit: not limit or limit < 0)),
    "5.30": ("docker0 is not used", _each(lambda c: "bridge" in c["NetworkSettings"]["Networks"])),
    "5.31": ("User namespaces are not the host's", _host("UsernsMode", lambda mode: mode == "host")),
    "5.32": (
        "The engine's socket is not in a container",
        _mounts(lambda mount: mount["Source"].endswith("docker.sock")),
    ),
}
