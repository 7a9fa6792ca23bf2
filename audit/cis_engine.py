"""Sections 1 to 3: the engine and its files."""

from __future__ import annotations

from collections.abc import Callable

from .cis_facts import Facts

Check = Callable[[Facts], list[str]]


def _unless(passed: bool, wrong: str) -> list[str]:
    return [] if passed else [wrong]


def _file(path: str, owner: str, most: int) -> Check:
    def check(facts: Facts) -> list[str]:
        found, bits = facts.files[path]
        # One that is not there needs no rights.
        return _unless(not found or (found == owner and bits & ~most == 0), f"{path} is {found} {bits:o}")

    return check


def _security(facts: Facts, name: str) -> bool:
    return any(f"name={name}" in option for option in facts.info.get("SecurityOptions") or [])


CHECKS: dict[str, tuple[str, Check]] = {
    "1.1.2": (
        "Only trusted users control the daemon",
        lambda f: _unless(not f.group, f"members of the group docker: {', '.join(f.group)}"),
    ),
    "2.1": (
        "The daemon runs as a non-root user",
        lambda f: _unless(_security(f, "rootless"), "it runs as root"),
    ),
    "2.2": (
        "No traffic between containers on the default bridge",
        lambda f: _unless(
            f.bridge["Options"].get("com.docker.network.bridge.enable_icc") == "false", "icc is on"
        ),
    ),
    "2.3": (
        "The logging level is info",
        lambda f: _unless(f.daemon.get("log-level", "info") == "info", f"it is {f.daemon.get('log-level')}"),
    ),
    "2.4": (
        "Docker may change the packet filter",
        lambda f: _unless(f.daemon.get("iptables", True) is True, "iptables is false"),
    ),
    "2.5": (
        "No insecure registries",
        lambda f: [
            f"{name} is insecure"
            for name, entry in (f.info["RegistryConfig"]["IndexConfigs"] or {}).items()
            if not entry["Secure"]
        ],
    ),
    "2.6": ("The storage driver is not aufs", lambda f: _unless(f.info["Driver"] != "aufs", "it is aufs")),
    "2.7": (
        "TLS where the daemon listens on TCP",
        lambda f: _unless(
            "tcp://" not in f.arguments and not f.daemon.get("hosts"),
            "it listens elsewhere than on its socket",
        ),
    ),
    "2.8": (
        "Default ulimits are set",
        lambda f: _unless(bool(f.daemon.get("default-ulimits")), "none are set"),
    ),
    "2.9": ("User namespaces are used", lambda f: _unless(_security(f, "userns"), "userns-remap is not set")),
    "2.10": (
        "The default cgroup is used",
        lambda f: _unless(
            not f.daemon.get("cgroup-parent"), f"cgroup-parent is {f.daemon.get('cgroup-parent')}"
        ),
    ),
    "2.11": (
        "The base device size is not changed",
        lambda f: _unless("dm.basesize" not in str(f.daemon.get("storage-opts", "")), "dm.basesize is set"),
    ),
    "2.12": (
        "Client commands are authorised by a plugin",
        lambda f: _unless(bool(f.info["Plugins"].get("Authorization")), "there is no authorisation plugin"),
    ),
    "2.13": (
        "Central logging is set up",
        lambda f: _unless(
            f.info["LoggingDriver"] in ("syslog", "gelf", "fluentd", "splunk"),
            f"logs go to {f.info['LoggingDriver']}",
        ),
    ),
    "2.14": (
        "Containers gain no privileges by default",
        lambda f: _unless(f.daemon.get("no-new-privileges") is True, "no-new-privileges is not set"),
    ),
    "2.15": ("Live restore is on", lambda f: _unless(f.info["LiveRestoreEnabled"] is True, "it is off")),
    "2.16": (
        "No userland proxy",
        lambda f: _unless(f.daemon.get("userland-proxy") is False, "userland-proxy is on"),
    ),
    "2.17": (
        "A seccomp profile applies daemon-wide",
        lambda f: _unless(_security(f, "seccomp,profile=builtin"), "the built-in profile is not in use"),
    ),
    "2.18": (
        "No experimental features",
        lambda f: _unless(not f.version.get("Experimental", False), "experimental is on"),
    ),
    "3.1-2": (
        "docker.service is root's",
        _file("/usr/lib/systemd/system/docker.service", "root:root", 0o644),
    ),
    "3.3-4": ("docker.socket is root's", _file("/usr/lib/systemd/system/docker.socket", "root:root", 0o644)),
    "3.5-6": ("/etc/docker is root's", _file("/etc/docker", "root:root", 0o755)),
    "3.15-16": ("The engine's socket is closed", _file("/run/docker.sock", "root:docker", 0o660)),
    "3.17-18": ("daemon.json is root's", _file("/etc/docker/daemon.json", "root:root", 0o644)),
    "3.19-20": ("/etc/default/docker is root's", _file("/etc/default/docker", "root:root", 0o644)),
    "3.23-24": (
        "containerd's socket is closed",
        _file("/run/containerd/containerd.sock", "root:root", 0o660),
    ),
}
