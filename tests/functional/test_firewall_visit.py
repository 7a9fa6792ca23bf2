"""The visit through the packet filter, for real: in a network namespace that stands for the host."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.droplet.host import ensure_tools

TREE = Path(__file__).parents[2]
# The namespace has a loopback interface, something that answers as SSH servers do, and the rules that it is given.
HOST = """
import json, socket, subprocess, sys, threading
import marketplace_admission as admission
given = json.loads(sys.argv[1])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for name in ("all", "default"):
    open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w").write("1")
    open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w").write("1")
def serve(family, address):
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, 22))
    server.listen()
    while True:
        visit = server.accept()[0]
        visit.sendall(given["banner"].encode())
        visit.close()
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    threading.Thread(target=serve, args=(family, address), daemon=True).start()
subprocess.run(["nft", "--file", "-"], input=given["rules"], text=True, check=True)
refused = admission.turned_away(given["sources"], 22, 1.0)
left = subprocess.run("ip rule; ip -6 rule; ip link", shell=True, capture_output=True, text=True).stdout
print(json.dumps({"refused": refused, "answers": admission.answers(22), "left": left}))
"""
RULES = """table inet host {
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        ct state established accept
        %s
    }
}
"""
FOUR, SIX = "198.51.100.77", "2001:db8:77::77"


@pytest.fixture(scope="module", autouse=True)
def tools():
    """The packet filter's program, and those that make a namespace."""
    ensure_tools({"nft": "nftables", "ip": "iproute2", "unshare": "util-linux"})


def visit(rule, sources=(FOUR, SIX), banner="SSH-2.0-test\r\n"):
    given = {"rules": RULES % rule, "sources": sources, "banner": banner}
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", HOST, json.dumps(given)],
        capture_output=True, text=True, check=False, cwd=TREE / "salt/_utils",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_open_rules_let_visitors_of_both_families_in_and_nothing_of_them_stays():
    seen = visit("tcp dport 22 accept")
    assert (seen["refused"], seen["answers"]) == ({}, True)
    assert "2207" not in seen["left"]
    assert "fw-visit" not in seen["left"]


@pytest.mark.parametrize(
    ("rule", "locked_out"),
    [
        ("tcp dport 2222 accept", {FOUR, SIX}),
        ("meta nfproto ipv4 tcp dport 22 accept", {SIX}),
        ("ip6 saddr 2001:db8::/32 tcp dport 22 accept", {FOUR}),
    ],
)
def test_rules_that_lock_out_are_seen_though_the_loopback_interface_is_open(rule, locked_out):
    seen = visit(rule)
    assert seen["answers"] is True
    assert seen["refused"] == dict.fromkeys(locked_out, "no answer")


def test_only_an_ssh_server_counts():
    seen = visit("tcp dport 22 accept", [FOUR], banner="HTTP/1.1 400\r\n")
    assert seen["refused"] == {FOUR: "something answers that is no SSH server"}
