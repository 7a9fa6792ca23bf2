"""What another host on the droplet's segment can reach: 22, 80 and 443, over IPv4 and IPv6, and nothing routed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from tests.support.droplet import host
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine


def scan(machine: Machine, address: str, ports: str = "1-65535") -> list[int]:
    """Which of an address's TCP ports answer, by nmap's SYN scan."""
    family = ["-6"] if ":" in address else []
    command = [
        "nmap",
        "-n",
        "-Pn",
        "-sS",
        *family,
        "--min-rate=10000",
        "--max-retries=1",
        "-p",
        ports,
        "-oG",
        "-",
    ]
    report = machine.run([*command, address]).stdout
    assert "Status: Up" in report, report
    return sorted(int(port) for port in re.findall(r"(\d+)/open/tcp", report))


def scan_beside(machine: Machine, address: str) -> list[int]:
    """The same for a thread: one client's connections are not for two."""
    client = host.connect()
    try:
        return scan(Machine(client, client.containers.get(machine.name)), address)
    finally:
        client.close()


def test_only_ssh_http_and_https_answer(droplet: Droplet, neighbour: Machine) -> None:
    # Both at once, for each waits for most of its ports in vain.
    with ThreadPoolExecutor(2) as pool:
        four, six = (pool.submit(scan_beside, neighbour, droplet.address(version)) for version in (4, 6))
    assert four.result() == [22, 80, 443]
    assert six.result() == [22, 80, 443]


def test_packets_routed_at_containers_are_dropped(droplet: Droplet, neighbour: Machine) -> None:
    targets = {"10.213.20.10": 5432, "10.213.20.11": 6380, "10.213.10.21": 8080}
    # From the droplet itself they answer: so it is the firewall that keeps the neighbour out.
    opened = [
        address
        for address, port in targets.items()
        if droplet.run(["timeout", "2", "bash", "-c", f"</dev/tcp/{address}/{port}"], check=False).ok
    ]
    assert "10.213.20.10" in opened
    assert "10.213.20.11" in opened
    neighbour.run(["ip", "route", "replace", "10.213.0.0/16", "via", droplet.address()])
    try:
        for address, port in targets.items():
            assert scan(neighbour, address, str(port)) == []
    finally:
        neighbour.run(["ip", "route", "del", "10.213.0.0/16"])


def test_firewall_applied_again_leaves_containers_their_network(droplet: Droplet) -> None:
    droplet.run(["systemctl", "restart", "firewall.service"])
    colour = droplet.get("/var/lib/marketplace/live.map").decode().split()[1]
    out = droplet.run(
        ["docker", "exec", f"backend-{colour}", "python3", "-c",
         "import urllib.request as u; print(u.urlopen('http://botapi.test:8081/control/health', timeout=5).status)"],
        check=False,
    )  # fmt: skip
    assert out.stdout.strip() == "200", out
    # The data network has no way out: what the host just reached, Redis's network cannot.
    address = botapi_address(droplet)
    connect = ["timeout", "5", "bash", "-c", f"</dev/tcp/{address}/8081"]
    assert droplet.run(connect, check=False).ok
    pid = droplet.run(["docker", "inspect", "--format", "{{.State.Pid}}", "redis"]).stdout.strip()
    assert not droplet.run(["nsenter", f"--target={pid}", "--net", *connect], check=False).ok


def botapi_address(droplet: Droplet) -> str:
    return droplet.run(["getent", "ahostsv4", "botapi.test"]).stdout.split()[0]
