"""Whether the packet filter lets a new SSH connection in: tried from a network namespace, as a visitor from outside.

What a host sends to its own addresses never leaves the loopback interface, which every firewall accepts. So the visitor
lives in a namespace of its own, at the far end of a pair of virtual interfaces: its packets arrive on an interface like
anybody's and meet the same rules. It visits from addresses that SSH is open to, at an address that only this pair has;
answers to it find their way by a routing rule of their own, so whoever really has that address is not cut off.
"""

import ipaddress
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# Addresses that nobody has: the dummy address (RFC 7600) and one of the discard prefix (RFC 6666).
HOST = {4: "192.0.0.8", 6: "100::8"}
# Visitors come from these (documentation, RFC 5737 and 3849) where the rules allow it.
USUAL = {4: "198.51.100.77", 6: "2001:db8:77::77"}
OUTSIDE, INSIDE = "fw-visit-out", "fw-visit-in"
TABLE = "2207"
IPV6 = Path("/proc/sys/net/ipv6/conf")
SECONDS = 6.0

# A first try may meet the visitor's own limit of new connections, or a link that is just coming up.
_VISIT = """
import socket, sys, time
host, source, port, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), time.monotonic() + float(sys.argv[4])
said = "no answer"
while time.monotonic() < end:
    try:
        with socket.create_connection((host, port), 1.5, (source, 0)) as visit:
            answer = visit.recv(255)
        if answer.startswith(b"SSH-"):
            sys.exit(0)
        said = "something answers that is no SSH server"
    except TimeoutError:
        said = "no answer"
    except OSError as error:
        said = error.strerror or str(error)
    time.sleep(0.2)
sys.exit(said)
"""


class CannotVisit(Exception):
    """The namespace could not be made, so nothing is known about the rules."""


def visitors(networks: list[str], caller: str = "") -> list[str]:
    """The addresses to visit from: one of each family that ``networks`` lets in, and ``caller``'s own.

    Args:
        networks: CIDR networks that may reach SSH.
        caller: the address that somebody works from at this moment; empty where that is nobody's.
    """
    found: list[str] = []
    for version in (4, 6):
        allowed = [net for net in map(ipaddress.ip_network, networks) if net.version == version]
        usual = ipaddress.ip_address(USUAL[version])
        if any(usual in net for net in allowed):
            found.append(str(usual))
        elif allowed:
            # The network's own address is no host's, unless it is all of the network.
            found.append(str(allowed[0][1] if allowed[0].num_addresses > 2 else allowed[0][0]))
    return found + ([caller] if caller and caller not in found else [])


def caller(process: int, own: str | None = None, proc: Path = Path("/proc")) -> str:
    """The address from which the SSH session came that a process belongs to; empty when it has none.

    Args:
        process: its number.
        own: its own SSH_CONNECTION; its ancestors, above sudo perhaps, are asked where it has none.
        proc: where processes are seen.
    """
    if own:
        return _address(own)
    while process > 1:
        try:
            environment = (proc / str(process) / "environ").read_bytes().split(b"\0")
            status = (proc / str(process) / "stat").read_text()
        except OSError:
            return ""
        for entry in environment:
            if entry.startswith(b"SSH_CONNECTION="):
                return _address(entry.partition(b"=")[2].decode(errors="replace"))
        # "pid (name) state parent": a name may hold spaces and brackets.
        process = int(status.rpartition(")")[2].split()[1])
    return ""


def _address(connection: str) -> str:
    """The client's in an SSH_CONNECTION: ``address port address port``."""
    try:
        parsed = ipaddress.ip_address(connection.split(" ")[0].partition("%")[0])
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    # Whoever comes from the host itself or over a link's own addresses needs no rule, and cannot be played.
    return "" if parsed.is_loopback or parsed.is_link_local else str(mapped or parsed)


def turned_away(sources: list[str], port: int, seconds: float = SECONDS) -> dict[str, str]:
    """Which of ``sources`` get no SSH banner from this host, each with what they get instead.

    Args:
        sources: addresses to visit from.
        port: where the SSH server listens.
        seconds: they keep trying for so long.

    Raises:
        CannotVisit: the namespace could not be made.
    """
    with _namespace(sources) as namespace, ThreadPoolExecutor(max(1, len(sources))) as pool:

        def visit(source: str) -> str | None:
            host = HOST[ipaddress.ip_address(source).version]
            return _run([*namespace, sys.executable, "-c", _VISIT, host, source, str(port), str(seconds)])

        said = dict(zip(sources, pool.map(visit, sources), strict=True))
    return {source: words for source, words in said.items() if words is not None}


def answers(port: int) -> bool:
    """Whether an SSH server answers at all, over the loopback interface."""
    visit = [sys.executable, "-c", _VISIT]
    return any(_run([*visit, host, host, str(port), "2"]) is None for host in ("127.0.0.1", "::1"))


def without_ipv6(proc: Path = IPV6) -> bool:
    """Whether no interface of this host speaks IPv6, so that nobody can come in by it."""
    switches = [
        path for path in proc.glob("*/disable_ipv6") if path.parent.name not in ("all", "default", "lo")
    ]
    return all(switch.read_text().strip() == "1" for switch in switches)


@contextmanager
def _namespace(sources: list[str]) -> Iterator[list[str]]:
    """A namespace that has all of ``sources`` as its addresses; gives the command that runs another one in it."""
    holder = subprocess.Popen(
        ["unshare", "--net", "--", "sleep", "120"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        _await_namespace(holder)
        inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]
        _clear()
        for command in _wiring(sources, holder.pid, inside):
            said = _run(command)
            if said is not None:
                raise CannotVisit(f"{' '.join(command)}: {said}")
        yield inside
    finally:
        _clear()
        holder.kill()
        holder.wait()


def _await_namespace(holder: subprocess.Popen[bytes]) -> None:
    own, end = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
    while time.monotonic() < end and holder.poll() is None:
        try:
            if Path(f"/proc/{holder.pid}/ns/net").readlink() != own:
                return
        except OSError:
            break
        time.sleep(0.01)
    raise CannotVisit("unshare could not make a network namespace")


def _wiring(sources: list[str], pid: int, inside: list[str]) -> Iterator[list[str]]:
    yield ["ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", str(pid)]
    versions = {ipaddress.ip_address(source).version for source in sources}
    if 6 in versions:
        # New interfaces may have it switched off where those that matter have it on.
        yield ["sysctl", "-q", "-w", f"net.ipv6.conf.{OUTSIDE}.disable_ipv6=0"]
        yield [*inside, "sysctl", "-q", "-w", f"net.ipv6.conf.{INSIDE}.disable_ipv6=0"]
    for version in sorted(versions):
        yield [
            "ip",
            f"-{version}",
            "address",
            "add",
            _host(HOST[version]),
            "dev",
            OUTSIDE,
            *_at_once(version),
        ]
    yield ["ip", "link", "set", OUTSIDE, "up"]
    for source in sources:
        version = ipaddress.ip_address(source).version
        yield [
            *inside,
            "ip",
            f"-{version}",
            "address",
            "add",
            _host(source),
            "dev",
            INSIDE,
            *_at_once(version),
        ]
    yield [*inside, "ip", "link", "set", INSIDE, "up"]
    for version in sorted(versions):
        yield [*inside, "ip", f"-{version}", "route", "add", _host(HOST[version]), "dev", INSIDE]
        rule = ["rule", "add", "from", _host(HOST[version]), "lookup", TABLE, "priority", TABLE]
        yield ["ip", f"-{version}", *rule]
    for source in sources:
        version = ipaddress.ip_address(source).version
        yield ["ip", f"-{version}", "route", "add", _host(source), "dev", OUTSIDE, "table", TABLE]


def _at_once(version: int) -> list[str]:
    """IPv6 addresses are usable only when nobody else was found to have them, a second later."""
    return ["nodad"] if version == 6 else []


def _host(address: str) -> str:
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def _clear() -> None:
    """Take away what this run made or one that was killed left; interfaces also end with their namespace."""
    for version in (4, 6):
        while _run(["ip", f"-{version}", "rule", "delete", "priority", TABLE, "lookup", TABLE]) is None:
            pass
    _run(["ip", "link", "delete", OUTSIDE])


def _run(command: list[str]) -> str | None:
    """None when the command succeeds, else the last thing it said."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
