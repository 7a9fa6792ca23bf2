"""Docker networks on bridges with fixed names and addresses, which firewall rules and containers count on."""

from typing import Any

from marketplace_container import DockerError
from marketplace_docker_socket import PATIENT, DockerSocket
from marketplace_paths import Paths
from salt.utils.path import which

_BRIDGE = "com.docker.network.bridge.name"


def present(name: str, bridge: str, subnet: str, gateway: str, internal: bool = False) -> dict[str, Any]:
    """Ensure a bridge network exists as described; one that differs is made again only while nothing is attached.

    Args:
        name: the network.
        bridge: name of its interface on the host (at most 15 characters).
        subnet: its IPv4 network, CIDR.
        gateway: the host's address on it.
        internal: whether its containers reach nothing outside it.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"Network {name} is present",
    }
    wanted = {"bridge": bridge, "subnet": subnet, "gateway": gateway, "internal": internal}
    if __opts__["test"] and not which("docker"):
        found, attached = None, []
    else:
        try:
            found, attached = _found(name)
        except DockerError as error:
            return ret | {"result": False, "comment": str(error)}
    if found == wanted:
        return ret
    changes = {
        key: {"old": found[key] if found else None, "new": value}
        for key, value in wanted.items()
        if not found or found[key] != value
    }
    if attached:
        return ret | {
            "result": False,
            "comment": f"Network {name} differs ({changes}) but is in use by {', '.join(attached)}. "
            "Settings of a network cannot change under running containers: put the old ones back, or remove "
            f"those containers and apply again.",
        }
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"Network {name} would be made"}
    commands = [["docker", "network", "rm", name]] if found else []
    create = ["docker", "network", "create", "--driver", "bridge", "--subnet", subnet, "--gateway", gateway]
    create += ["--opt", f"{_BRIDGE}={bridge}", *(["--internal"] if internal else []), name]
    for command in [*commands, create]:
        result = __salt__["cmd.run_all"](command, python_shell=False)
        if result["retcode"]:
            return ret | {"result": False, "comment": f"{' '.join(command)} failed: {result['stderr']}"}
    if _found(name)[0] != wanted:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"Network {name} is still not as described",
        }
    return ret | {"changes": changes, "comment": f"Network {name} was made"}


def _found(name: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The network's settings (None when there is none), and the containers that are attached to it.

    Raises:
        DockerError: Docker does not answer.
    """
    network = DockerSocket(Paths().docker_socket, PATIENT).network(name)
    if network is None:
        return None, []
    pool = (network["IPAM"]["Config"] or [{}])[0]
    settings = {
        "bridge": network["Options"].get(_BRIDGE, ""),
        "subnet": pool.get("Subnet", ""),
        "gateway": pool.get("Gateway", ""),
        "internal": bool(network["Internal"]),
    }
    return settings, sorted(entry["Name"] for entry in (network["Containers"] or {}).values())
