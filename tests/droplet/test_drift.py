"""What somebody changes by hand is named, told, and put right by state.apply where that owns it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import alerts
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.waiting import seconds_until

LOOK_SECONDS = 30
"""What a look may take on a machine that is busy with other tests; 6 s are common where it is not."""
SECRET = "/etc/marketplace/secrets/webhook_secret"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEveEveEveEveEveEveEveEveEveEveEveEveEveEveE eve@elsewhere"
REDIS = """docker exec --env REDISCLI_AUTH="$(cat /etc/marketplace/secrets/redis_operator_password)" redis redis-cli \
--tls --insecure -p "$(jq .redis.port /etc/marketplace/settings.json)" \
--user "$(jq -r .redis.users.operator /etc/marketplace/settings.json)" """
# What is found -> how that comes about by hand. State.apply owns these ...
OWNED = {
    "/etc/profile.d/idle.sh": f'echo "X=$(cat {SECRET})" >> /etc/profile.d/idle.sh; '
    "echo MY_PASSWORD=hunter2 >> /etc/profile.d/idle.sh",
    "volumes-allocate.timer": "systemctl --quiet disable --now volumes-allocate.timer",
    "firewall table host": "nft add rule inet host input tcp dport 9999 accept",
    "/etc/sysctl.d/60-host.conf": "sysctl -qw net.ipv4.conf.all.accept_redirects=1",
    "Ensure only root can change what states have written": "chmod 666 /etc/cron.d/marketplace-backup",
    "postgres": "docker exec postgres psql -qU postgres -c \"ALTER SYSTEM SET work_mem = '7MB'\"",
    "/etc/marketplace/delivered/redis/users.acl": f"{REDIS} ACL SETUSER eve on nopass '~*' +@all",
    "/srv/data/redis": "mount -o remount,exec /srv/data/redis",
}
# ... and of these it is said what undoes them.
FOREIGN = {
    "account eve": ("useradd --shell /bin/bash eve", "userdel eve"),
    "authorised key": (
        f"echo '{KEY}' >> /root/.ssh/authorized_keys",
        "sed -i /eve@elsewhere/d /root/.ssh/authorized_keys",
    ),
    "held package jq": ("apt-mark hold jq", "apt-mark unhold jq"),
    "firewall table inet eve": ("nft add table inet eve", "nft delete table inet eve"),
    "file /etc/cron.d/eve": ("touch /etc/cron.d/eve", "rm /etc/cron.d/eve"),
    "database role eve": (
        "docker exec postgres createuser -U postgres --superuser eve",
        "docker exec postgres dropuser -U postgres eve",
    ),
    "container eve": (
        "docker create --name eve --network data \"$(docker inspect -f '{{.Image}}' redis)\"",
        "docker rm --force eve",
    ),
}


def look(droplet: Droplet, by_timer: bool = False) -> dict[str, Any]:
    """What a look finds: by the unit that the timer starts, which can write nothing, or by somebody's command."""
    if by_timer:
        droplet.run(["systemctl", "start", "marketplace-drift.service"])
    answer = call(droplet, "health.drift", *(() if by_timer else ("now=True", "wait=120")))
    found: dict[str, Any] = answer.value
    assert "differences" in found, found
    assert (found["trouble"], found["pending"]) == ([], [])
    assert answer.returncode == (1 if found["differences"] else 0)
    assert found["seconds"] < LOOK_SECONDS
    return found


def names(found: dict[str, Any]) -> list[str]:
    rows = [row for row in found["differences"] if not row["follows"]]
    return [row["name"] if row["owned"] else f"{row['state']} {row['name']}" for row in rows]


@pytest.fixture
def accepted(droplet: Droplet) -> Iterator[Droplet]:
    """The droplet, all of it applied, with what other tests have left taken for right."""
    assert call(droplet, "state.apply").failed == {}
    call(droplet, "health.drift", "accept=True")
    yield droplet
    droplet.run(["sh", "-c", "; ".join(f"({undo}) 2>/dev/null" for _, undo in FOREIGN.values())], check=False)


def test_what_was_changed_by_hand_is_found_told_and_put_right(accepted: Droplet) -> None:
    droplet = accepted
    by_hand = [*OWNED.values(), *(done for done, _ in FOREIGN.values())]
    droplet.run(["sh", "-euxc", "\n".join(by_hand)])
    found = look(droplet, by_timer=True)
    told = names(found)
    lost = [name for name in (*OWNED, *FOREIGN) if not any(one.startswith(name) for one in told)]
    assert lost == [], found["differences"]
    assert len(told) == len(OWNED) + len(FOREIGN), told
    secret = droplet.run(["cat", SECRET]).stdout.strip()
    for text in (json.dumps(found), droplet.get("/var/lib/marketplace/drift.json").decode()):
        assert secret not in text
        assert "hunter2" not in text
    status = call(droplet, "deploy.status").value["drift"]
    assert status["summary"].startswith(f"{len(told)} differences since ")
    seconds_until(lambda: "drift/droplet" in alerts.active(droplet), 30)
    # The next look, of tomorrow, finds the same: nobody has put anything right.
    assert names(look(droplet)) == told
    assert call(droplet, "state.apply").failed == {}
    # What states own is as it was; the rest takes whoever did it.
    assert names(call(droplet, "health.drift").value) == [one for one in told if one not in OWNED]
    droplet.run(["sh", "-euxc", "\n".join(undo for _, undo in FOREIGN.values())])
    assert names(look(droplet)) == []
    assert call(droplet, "deploy.status").value["drift"]["summary"] == "none"
    seconds_until(lambda: "drift/droplet" not in alerts.active(droplet), 30)
