"""From where a firewall is tried, and whom it must not lock out."""

import pytest
from marketplace_admission import caller, visitors, without_ipv6


@pytest.mark.parametrize(
    ("networks", "found"),
    [
        (["0.0.0.0/0", "::/0"], ["198.51.100.77", "2001:db8:77::77"]),
        (["203.0.113.7/32"], ["203.0.113.7"]),
        (["10.1.0.0/16", "2001:db8::/32"], ["10.1.0.1", "2001:db8:77::77"]),
        (["2001:db8:1::/64", "192.0.2.0/31"], ["192.0.2.0", "2001:db8:1::1"]),
        ([], []),
    ],
)
def test_visitors_come_from_where_the_rules_let_them_in(networks, found):
    assert visitors(networks) == found


def test_whoever_runs_it_must_get_in_again():
    assert visitors(["203.0.113.7/32"], "192.0.2.9") == ["203.0.113.7", "192.0.2.9"]
    assert visitors(["203.0.113.7/32"], "203.0.113.7") == ["203.0.113.7"]


def process(proc, number, parent, environment=b"A=b\0"):
    (proc / str(number)).mkdir()
    (proc / str(number) / "environ").write_bytes(environment)
    (proc / str(number) / "stat").write_text(f"{number} (a (strange) name) S {parent} 1 1 0 -1\n")


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (b"192.0.2.9 50000 198.51.100.1 22", "192.0.2.9"),
        (b"::ffff:192.0.2.9 50000 ::ffff:198.51.100.1 22", "192.0.2.9"),
        (b"fe80::1%eth0 50000 fe80::2%eth0 22", ""),
        (b"127.0.0.1 50000 127.0.0.1 22", ""),
        (b"nonsense", ""),
    ],
)
def test_the_caller_is_found_above_sudo(tmp_path, connection, address):
    process(tmp_path, 30, 20)
    process(tmp_path, 20, 10)
    process(tmp_path, 10, 1, b"HOME=/\0SSH_CONNECTION=" + connection + b"\0")
    assert caller(30, None, tmp_path) == address


def test_a_process_knows_its_own_caller_best(tmp_path):
    process(tmp_path, 30, 1, b"SSH_CONNECTION=192.0.2.9 1 192.0.2.1 22\0")
    assert caller(30, "192.0.2.8 1 192.0.2.1 22", tmp_path) == "192.0.2.8"


def test_nobody_calls_at_boot(tmp_path):
    process(tmp_path, 30, 1)
    assert caller(30, None, tmp_path) == ""
    assert caller(31, None, tmp_path) == ""


@pytest.mark.parametrize(
    ("switches", "without"),
    [
        ({"all": "0", "default": "0", "lo": "0", "eth0": "0"}, False),
        # In some hosts what is to come has it off, and what is there has it on.
        ({"all": "1", "default": "1", "lo": "1", "eth0": "0"}, False),
        ({"all": "1", "default": "1", "lo": "0", "eth0": "1", "br0": "1"}, True),
        ({}, True),
    ],
)
def test_ipv6_may_be_switched_off(tmp_path, switches, without):
    for name, value in switches.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "disable_ipv6").write_text(f"{value}\n")
    assert without_ipv6(tmp_path) is without
