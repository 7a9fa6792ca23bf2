"""The firewall as the state keeps it: judged by what the kernel has loaded, beside Docker's own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call, parse
from tests.support.waiting import seconds_until

LOADED = "Ensure the firewall is in force"


def listed(droplet: Droplet) -> list[str]:
    """The table's parts, without what packets left in them: counts, and sources in the sets that packets fill."""
    told = droplet.run(["nft", "--stateless", "--json", "list", "table", "inet", "host"]).stdout
    parts = [part for part in json.loads(told)["nftables"] if "metainfo" not in part]
    for part in parts:
        for kind, body in part.items():
            body.pop("handle", None)
            if kind == "set" and "dynamic" in body.get("flags", []):
                body.pop("elem", None)
    return sorted(json.dumps(part, sort_keys=True) for part in parts)


def tables(droplet: Droplet) -> str:
    return droplet.run(["nft", "list", "tables"]).stdout


@pytest.mark.parametrize(
    "tampering",
    [
        ["nft", "delete", "table", "inet", "host"],
        ["nft", "add", "rule", "inet", "host", "input", "tcp", "dport", "9999", "accept"],
        ["nft", "add", "element", "inet", "host", "bridges", "{ eth9 }"],
    ],
    ids=["deleted", "rule added", "element added"],
)
def test_a_table_that_was_tampered_with_is_put_back(droplet: Droplet, tampering: list[str]) -> None:
    before = listed(droplet)
    droplet.run(tampering)
    assert set(call(droplet, "state.apply", "firewall", "test=True").changed) == {LOADED}
    done = call(droplet, "state.apply", "firewall")
    assert (done.failed, set(done.changed)) == ({}, {LOADED})
    assert listed(droplet) == before
    assert call(droplet, "state.apply", "firewall").changed == {}


def test_no_other_table_is_touched(droplet: Droplet) -> None:
    before = tables(droplet)
    assert "table ip nat" in before
    droplet.run(["systemctl", "restart", "firewall"])
    droplet.run(["systemctl", "stop", "firewall"])
    assert tables(droplet) == before
    droplet.run(["systemctl", "start", "firewall"])


def test_a_reserved_address_on_the_loopback_interface_is_served(droplet: Droplet, neighbour: Machine) -> None:
    reserved = "2001:db8::53"
    droplet.run(["ip", "-6", "address", "replace", f"{reserved}/128", "dev", "lo"])
    neighbour.run(["ip", "-6", "route", "replace", f"{reserved}/128", "via", droplet.address(6)])
    try:
        for port, opened in ((443, True), (8405, False)):
            connect = f"import socket; socket.create_connection(('{reserved}', {port}), 2)"
            assert neighbour.run(["python3", "-c", connect], check=False).ok is opened
    finally:
        neighbour.run(["ip", "-6", "route", "del", f"{reserved}/128"])
        droplet.run(["ip", "-6", "address", "del", f"{reserved}/128", "dev", "lo"])


def test_a_restart_of_the_engine_keeps_rules_and_containers(droplet: Droplet) -> None:
    containers = droplet.run(["docker", "ps", "--format", "{{.ID}} {{.Names}}"]).stdout
    droplet.run(["systemctl", "restart", "docker"])
    assert droplet.run(["docker", "ps", "--format", "{{.ID}} {{.Names}}"]).stdout == containers
    assert call(droplet, "state.apply", "firewall").changed == {}


@pytest.fixture
def closed(droplet: Droplet) -> Iterator[str]:
    """A file with the droplet's rules, but none that lets SSH in."""
    rules = droplet.get("/etc/firewall.nft").decode()
    lines = [line for line in rules.splitlines() if "jump ssh" not in line]
    assert len(lines) == len(rules.splitlines()) - 2
    droplet.put("/root/closed.nft", "\n".join(lines) + "\n")
    yield "/root/closed.nft"
    droplet.run(["rm", "-f", "/root/closed.nft"])
    assert call(droplet, "state.apply", "firewall").failed == {}


def load(file: str) -> list[str]:
    ssh = '{"port": 22, "sources": ["0.0.0.0/0", "::/0"]}'
    return [
        "state.single",
        "nft_table.loaded",
        "host",
        f"file={file}",
        "boot=/etc/firewall.nft",
        f"ssh={ssh}",
    ]


def returning(droplet: Droplet) -> bool:
    return droplet.run(["systemctl", "is-active", "firewall-return-host.timer"], check=False).ok


def test_rules_that_lock_ssh_out_do_not_stay(droplet: Droplet, closed: str) -> None:
    before, at_boot = listed(droplet), droplet.get("/etc/firewall.nft")
    (comment,) = call(droplet, *load(closed)).failed.values()
    assert comment.startswith("The old rules are back")
    assert "198.51.100.77: no answer" in comment
    assert "2001:db8:77::77: no answer" in comment
    assert listed(droplet) == before
    assert droplet.get("/etc/firewall.nft") == at_boot
    assert not returning(droplet)


def test_a_killed_run_leaves_nobody_locked_out(droplet: Droplet, closed: str) -> None:
    before = listed(droplet)
    words = " ".join(f"'{word}'" for word in load(closed))
    droplet.run(["systemd-run", "--quiet", "--collect", "--unit=killed", "sh", "-c", f"salt-call {words}"])
    seconds_until(lambda: not any('"jump"' in part for part in listed(droplet)), 20)
    droplet.run(["systemctl", "kill", "--signal=KILL", "killed"])
    assert returning(droplet)
    # What the timer starts when its minute is over.
    droplet.run(["systemctl", "start", "firewall-return-host.service"])
    assert listed(droplet) == before
    droplet.run(["systemctl", "stop", "firewall-return-host.timer"])
    droplet.run(["systemctl", "reset-failed", "killed"], check=False)
    assert not droplet.run(["ip", "link", "show", "fw-visit-out"], check=False).ok


def test_sources_that_are_others_are_tried_from_theirs(droplet: Droplet, neighbour: Machine) -> None:
    before = droplet.get(pillar.FILE)
    changed = yaml.safe_load(before) | {"firewall": {"ssh_sources": ["203.0.113.0/24"]}}
    connect = f"import socket; socket.create_connection(('{droplet.address()}', 22), 1)"
    pillar.write(droplet, changed)
    try:
        # Whoever runs it from elsewhere would be out: so it is not done.
        lost = droplet.run(
            ["env", "SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22", "salt-call", "--out=json",
             "--retcode-passthrough", "state.apply", "firewall"],
            check=False,
        )  # fmt: skip
        assert "started over SSH from 192.0.2.9" in parse(lost).failed[LOADED]
        assert neighbour.run(["python3", "-c", connect], check=False).ok
        assert call(droplet, "state.apply", "firewall").failed == {}
        assert not neighbour.run(["python3", "-c", connect], check=False).ok
    finally:
        droplet.put(pillar.FILE, before, mode=0o600)
        assert call(droplet, "state.apply", "firewall").failed == {}
    assert neighbour.run(["python3", "-c", connect], check=False).ok


def test_nothing_meant_for_a_container_leaves_while_its_bridge_is_away(
    droplet: Droplet, neighbour: Machine
) -> None:
    """At boot the edge is up before the containers' networks: what it sends them must not go to a stranger.

    In somebody's private network another host may have a container's very address.
    """
    settings = json.loads(droplet.get("/etc/marketplace/settings.json"))
    address = settings["backend"]["addresses"]["blue"]["app"]
    neighbour.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"])
    serve = (
        "import http.server; http.server.HTTPServer(('0.0.0.0', 8080), http.server.SimpleHTTPRequestHandler)"
    )
    neighbour.run(["sh", "-c", f'nohup python3 -c "{serve}.handle_request()" >/dev/null 2>&1 &'])
    droplet.run(["ip", "link", "set", "mkt-app", "down"])
    droplet.run(["ip", "route", "replace", f"{address}/32", "via", neighbour.address()])
    try:
        connect = f"import socket; socket.create_connection(('{address}', 8080), 3)"
        told = droplet.run(["python3", "-c", connect], check=False)
        assert "No route to host" in told.stderr, told
        # The firewall alone keeps it in.
        droplet.run(["nft", "flush", "chain", "inet", "host", "output"])
        assert seconds_until(lambda: droplet.run(["python3", "-c", connect], check=False).ok, 10) < 10
    finally:
        droplet.run(["ip", "route", "del", f"{address}/32"])
        droplet.run(["ip", "link", "set", "mkt-app", "up"])
        droplet.run(["systemctl", "restart", "firewall"])
        neighbour.run(["ip", "address", "del", f"{address}/32", "dev", "lo"])
