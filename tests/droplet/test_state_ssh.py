"""SSH on a converged droplet: keys only, proven before it is in force, and hard to crowd out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine, Result
from tests.support.droplet.paths import site_dir
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site

CONFIGURED, CURRENT = "Ensure SSH takes keys only", "Ensure the SSH server uses its configuration"
FILE = "/etc/ssh/sshd_config.d/00-host.conf"
OTHER = "/etc/ssh/sshd_config.d/90-other.conf"
# How many of a number of connections, made one after another without pause, come about.
CONNECT = """
import socket, sys
come = 0
for _ in range(int(sys.argv[2])):
    try:
        socket.create_connection((sys.argv[1], 22), 0.5).close()
        come += 1
    except OSError:
        break
print(come)
"""


@pytest.fixture
def client(neighbour: Machine, site: Site) -> Machine:
    """The neighbour, with an SSH client and the operator's key."""
    if not neighbour.run(["which", "ssh"], check=False).ok:
        neighbour.run(["apt-get", "update", "-qq"])
        neighbour.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "openssh-client"])
    neighbour.put("/root/operator-key", (site_dir(site.name) / "operator-key").read_bytes(), 0o600)
    return neighbour


@pytest.fixture
def fresh_rates(droplet: Droplet) -> Iterator[None]:
    """Nobody has connected lately, before and after."""

    def forget() -> None:
        for version in (4, 6):
            droplet.run(["nft", "flush", "set", "inet", "host", f"ssh_rate_ipv{version}"])

    forget()
    yield
    forget()


def ssh(client: Machine, droplet: Droplet, *options: str, command: str = "true") -> Result:
    common = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    return client.run(["ssh", *common, *options, f"root@{droplet.address()}", command], check=False)


def test_a_key_opens_and_a_password_is_not_even_asked_for(client: Machine, droplet: Droplet) -> None:
    assert ssh(client, droplet, "-i", "/root/operator-key", command="echo in").stdout == "in\n"
    refused = ssh(client, droplet, "-o", "PubkeyAuthentication=no", "-v")
    assert not refused.ok
    assert "Permission denied (publickey)" in refused.stderr
    assert "Authentications that can continue: publickey\n" in refused.stderr.replace("\r", "")


def test_what_is_in_force_is_what_the_file_says(droplet: Droplet) -> None:
    said = droplet.run(["sshd", "-T"]).stdout.lower().splitlines()
    for line in (
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin without-password",
        "x11forwarding no",
        "allowagentforwarding no",
        "allowtcpforwarding local",
        "hostkey /etc/ssh/ssh_host_ed25519_key",
    ):
        assert line in said
    assert not [line for line in said if line.startswith("hostkey ") and "ecdsa" in line]
    assert [line for line in said if line.startswith("subsystem sftp ")]


def test_old_algorithms_are_refused(client: Machine, droplet: Droplet) -> None:
    for option in (
        "KexAlgorithms=ecdh-sha2-nistp256",
        "MACs=hmac-sha1",
        "HostKeyAlgorithms=ecdsa-sha2-nistp256",
    ):
        ciphers = ["-o", "Ciphers=aes128-ctr"] if option.startswith("MACs") else []
        refused = ssh(client, droplet, "-i", "/root/operator-key", "-o", option, *ciphers)
        assert "no matching" in refused.stderr, option


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("90-other.conf", "NoSuchOption yes\n", "NoSuchOption"),
        ("00-early.conf", "PasswordAuthentication yes\n", "PasswordAuthentication is yes"),
    ],
    ids=["broken", "overruled"],
)
def test_a_configuration_that_would_not_hold_changes_nothing(
    droplet: Droplet, client: Machine, name: str, content: str, reason: str
) -> None:
    before = droplet.get(FILE)
    other = f"/etc/ssh/sshd_config.d/{name}"
    droplet.put(other, content)
    droplet.put(FILE, "# somebody's\n")
    try:
        done = call(droplet, "state.apply", "ssh")
        assert reason in done.failed[CONFIGURED]
        assert droplet.get(FILE) == b"# somebody's\n"
        assert ssh(client, droplet, "-i", "/root/operator-key").ok
    finally:
        droplet.run(["rm", other])
        mended = call(droplet, "state.apply", "ssh")
    assert (mended.failed, set(mended.changed)) == ({}, {CONFIGURED, CURRENT})
    assert droplet.get(FILE) == before


def test_a_server_older_than_its_configuration_is_reloaded_and_sessions_stay(
    droplet: Droplet, client: Machine
) -> None:
    droplet.put(OTHER, "# nothing\n")
    assert set(call(droplet, "state.apply", "ssh", "test=True").changed) == {CURRENT}
    process = droplet.run(["systemctl", "show", "--value", "--property=MainPID", "ssh"]).stdout
    assert set(call(droplet, "state.apply", "ssh").changed) == {CURRENT}
    assert droplet.run(["systemctl", "show", "--value", "--property=MainPID", "ssh"]).stdout == process
    droplet.run(["rm", OTHER])
    assert set(call(droplet, "state.apply", "ssh").changed) == {CURRENT}
    assert call(droplet, "state.apply", "ssh").changed == {}


def test_passwords_are_not_switched_off_while_nobody_has_a_key(droplet: Droplet) -> None:
    before = droplet.get(FILE)
    droplet.run(["mv", "/root/.ssh", "/root/.ssh-away"])
    droplet.put(FILE, "# as before\n")
    try:
        for test in (["test=True"], []):
            done = call(droplet, "state.apply", "ssh", *test)
            assert "none of root has an authorised key" in done.failed[CONFIGURED]
            assert droplet.get(FILE) == b"# as before\n"
    finally:
        droplet.run(["mv", "/root/.ssh-away", "/root/.ssh"])
        call(droplet, "state.apply", "ssh")
    assert droplet.get(FILE) == before


def connections(machine: Machine, address: str, wanted: int) -> int:
    return int(machine.run(["python3", "-c", CONNECT, address, str(wanted)]).stdout)


@pytest.mark.usefixtures("fresh_rates")
@pytest.mark.parametrize("version", [4, 6])
def test_one_source_that_floods_is_stopped_while_another_gets_in(
    droplet: Droplet, neighbour: Machine, site: Site, version: int
) -> None:
    address = droplet.address(version)
    # The burst, and what the seconds bring that it takes.
    assert 29 <= connections(neighbour, address, 200) <= 35
    # By IPv6 a source is a /64, and this one has the same.
    assert connections(site.controller(), address, 5) == (5 if version == 4 else 0)
