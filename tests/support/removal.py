"""Taking everything off a droplet, and what is there before and afterwards."""

from __future__ import annotations

import json

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import Answer, call

ALLOWED = "Ensure the removal may begin"
# What is each host's own; and accounts, which Debian's packages leave when they are purged.
SAYS_OTHERWISE = (
    "/etc/hostname", "/etc/hosts", "/etc/machine-id", "/etc/ssh/ssh_host_",
    "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow",
)  # fmt: skip


def absent(droplet: Droplet, remove: str = "development", *arguments: str) -> Answer:
    """``marketplace.absent``, confirmed with an id; "" confirms nothing."""
    confirmed = [f"pillar={json.dumps({'remove': remove})}"] if remove else []
    return call(droplet, "state.apply", "marketplace.absent", *confirmed, *arguments)


def listing(machine: Machine, *places: str) -> dict[str, str]:
    """All below ``places``: kind, mode, owner, where a link leads; for files of /etc a checksum as well."""
    found = machine.run(["find", *places, "-printf", "%p\t%y %m %u:%g %l\n"], check=False).stdout
    facts = dict(line.split("\t", 1) for line in found.splitlines())
    sums = machine.run(["find", "/etc", "-type", "f", "-exec", "sha256sum", "{}", "+"]).stdout
    for digest, path in (line.split("  ", 1) for line in sums.splitlines()):
        if not path.startswith(SAYS_OTHERWISE):
            facts[path] = f"{facts.get(path, '')} {digest}"
    return facts


def seen(droplet: Droplet) -> tuple[dict[str, str], str]:
    """What runs, and what the packet filter has."""
    return shipping.containers(droplet), droplet.run(["nft", "list", "tables"]).stdout
