"""All of it is taken off a host but the data and backups, and state.apply brings it back with the same data."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call
from tests.support.load.state import sql
from tests.support.removal import absent, listing
from tests.support.waiting import seconds_until

CHAT = 7101
BANNER = "import socket, sys; print(socket.create_connection((sys.argv[1], 22), 5).recv(99).decode())"
PLACES = (
    "/etc",
    "/usr/local",
    "/opt",
    "/root",
    "/srv",
    "/var/lib",
    "/var/spool",
    "/var/swapfile",
)
STAYS = (
    # Data, backups, what both are read with, and the file systems that they are on.
    "/srv/data", "/var/lib/marketplace", "/etc/marketplace",
    "/etc/systemd/system/srv-data-", "/etc/systemd/system/var-backups-marketplace.mount",
    "/etc/systemd/system/multi-user.target.wants/srv-data-",
    "/etc/systemd/system/multi-user.target.wants/var-backups-marketplace.mount",
    # Salt and the tree.
    "/srv/deploy", "/opt/salt", "/usr/local/bin/salt-call", "/usr/local/lib/salt", "/etc/salt", "/root/.cache/pip",
    # What Debian's own programs note as they work.
    "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd", "/var/lib/ucf", "/var/lib/pam", "/etc/ld.so.cache",
    "/etc/.pwd.lock", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/var/lib/private",
    "/var/lib/python",
)  # fmt: skip
# Somebody has worked there: pip, for Salt.
WORKED_IN = ("/root/.cache",)
REREAD = {
    "Ensure the SSH server works without our configuration",
    "Ensure the journal works without our configuration",
}
OURS = ("/etc/marketplace", "/srv/data", "/var/lib/marketplace")
LEFT_OF_US = {
    "/etc/marketplace/environment", "/etc/marketplace/secrets", "/etc/marketplace/settings.json",
    "/srv/data/README", "/srv/data/postgres", "/srv/data/redis",
    "/var/lib/marketplace/ledger", "/var/lib/marketplace/live.map", "/var/lib/marketplace/maintenance.map",
    "/var/lib/marketplace/releases", "/var/lib/marketplace/slo", "/var/lib/marketplace/volumes",
}  # fmt: skip


def others(found: dict[str, str]) -> dict[str, str]:
    return {
        path: facts for path, facts in found.items() if not path.startswith(STAYS) and path not in WORKED_IN
    }


def test_all_but_the_data_goes_and_comes_back(
    undone: Droplet, fresh: Callable[[str], Droplet], botapi: BotApi, neighbour: Machine
) -> None:
    droplet = undone
    assert botapi.ask("/start", chat_id=CHAT, wait=30)
    rows = sql(droplet, "SELECT count(*) FROM users")
    # The record of outages begins some minutes after the first convergence.
    seconds_until(lambda: droplet.run(["test", "-d", "/var/lib/marketplace/slo"], check=False).ok, 300)
    version = shipping.status(droplet)["live"]["version"]

    foreseen = absent(droplet, "", "test=True")
    assert foreseen.failed == {}
    done = absent(droplet)
    assert done.failed == {}
    # What was not shown may not go unseen: only what runs on is told to read what is left.
    assert foreseen.changed.keys() - REREAD == done.changed.keys() - REREAD
    assert absent(droplet).changed == {}
    bare, left = listing(fresh("bare"), *PLACES), listing(droplet, *PLACES)
    assert {path: facts for path, facts in others(left).items() if bare.get(path) != facts} == {}
    assert others(bare).keys() - left.keys() == set()
    assert droplet.run(["sh", "-c", "ls -d /var/log/journal/*.*"], check=False).stdout == ""
    ours = set(droplet.run(["find", *OURS, "-mindepth", "1", "-maxdepth", "1"]).stdout.split())
    # Where git says which tree it is, an older one is refused afterwards as well.
    assert ours - {"/etc/marketplace/tree.json"} == LEFT_OF_US
    assert neighbour.run(["python3", "-c", BANNER, droplet.address()]).stdout.startswith("SSH-2.0")
    assert droplet.get("/srv/data/postgres/data/17/PG_VERSION").decode().strip() == "17"
    assert "/srv/data/postgres/data/17" in droplet.get("/srv/data/README").decode()

    assert call(droplet, "state.apply").failed == {}
    assert sql(droplet, "SELECT count(*) FROM users") == rows
    assert shipping.status(droplet)["live"]["version"] == version
    assert botapi.ask("/browse", chat_id=CHAT, wait=60)
    assert call(droplet, "state.apply").changed == {}
