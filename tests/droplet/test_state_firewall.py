"""The firewall as the state keeps it: judged by what the kernel has loaded, beside Docker's own rules."""

from __future__ import annotations

import pytest

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call

LOADED = "Ensure the firewall is in force"


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
    before = droplet.run(["nft", "list", "table", "inet", "host"]).stdout
    droplet.run(tampering)
    assert set(call(droplet, "state.apply", "firewall", "test=True").changed) == {LOADED}
    done = call(droplet, "state.apply", "firewall")
    assert (done.failed, set(done.changed)) == ({}, {LOADED})
    assert sorted(droplet.run(["nft", "list", "table", "inet", "host"]).stdout.split()) == sorted(
        before.split()
    )
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
