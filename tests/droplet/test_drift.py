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

LOOK_SECONDS = 25
"""What a look may take on a machine that is busy with other tests; the tenth part is common where it is not."""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEveEveEveEveEveEveEveEveEveEveEveEveEveEveE eve@elsewhere"
SECRET = "/etc/marketplace/secrets/webhook_secret"
# By hand, and the name under which it has to be found. State.apply owns these ...
OWNED: dict[str, list[list[str]]] = {
    "/etc/profile.d/idle.sh": [
        ["sh", "-c", f'echo "X=$(cat {SECRET})" >> /etc/profile.d/idle.sh'],
        ["sh", "-c", "echo MY_PASSWORD=hunter2 >> /etc/profile.d/idle.sh"],
    ],
    "volumes-allocate.timer": [["systemctl", "disable", "--now", "volumes-allocate.timer"]],
    "host": [["nft", "add", "rule", "inet", "host", "input", "tcp", "dport", "9999", "accept"]],
    "/etc/sysctl.d/60-host.conf": [["sysctl", "-qw", "net.ipv4.conf.all.accept_redirects=1"]],
    "Ensure only root can change what states have written": [
        ["chmod", "666", "/etc/cron.d/marketplace-backup"]
    ],
    "postgres": [
        ["docker", "exec", "postgres", "psql", "-qU", "postgres", "-c", "ALTER SYSTEM SET work_mem='7MB'"]
    ],
    "/srv/data/redis": [["mount", "-o", "remount,exec", "/srv/data/redis"]],
}
# ... and of these it is said what undoes them.
FOREIGN: dict[str, tuple[list[str], list[str]]] = {
    "account eve": (["useradd", "--shell", "/bin/bash", "eve"], ["userdel", "eve"]),
    "authorised key": (
        ["sh", "-c", f"echo {KEY} >> /root/.ssh/authorized_keys"],
        ["sed", "-i", "/eve@elsewhere/d", "/root/.ssh/authorized_keys"],
    ),
    "held package jq": (["apt-mark", "hold", "jq"], ["apt-mark", "unhold", "jq"]),
    "firewall table inet eve": (
        ["nft", "add", "table", "inet", "eve"],
        ["nft", "delete", "table", "inet", "eve"],
    ),
    "file /etc/cron.d/eve": (["touch", "/etc/cron.d/eve"], ["rm", "/etc/cron.d/eve"]),
    "database role eve": (
        ["docker", "exec", "postgres", "createuser", "-U", "postgres", "--superuser", "eve"],
        ["docker", "exec", "postgres", "dropuser", "-U", "postgres", "eve"],
    ),
    "container eve": (
        ["sh", "-c", "docker create --name eve --network data $(docker inspect -f '{{.Image}}' redis)"],
        ["docker", "rm", "--force", "eve"],
    ),
}


def look(droplet: Droplet) -> dict[str, Any]:
    answer = call(droplet, "health.drift", "now=True", "wait=120")
    found: dict[str, Any] = answer.value
    assert "differences" in found, found
    assert answer.returncode == (1 if found["differences"] or found["trouble"] else 0)
    assert found["seconds"] < LOOK_SECONDS
    return found


def names(found: dict[str, Any]) -> list[str]:
    rows = [row for row in found["differences"] if not row["follows"]]
    return [row["name"] if row["owned"] else f"{row['state']} {row['name']}" for row in rows]


@pytest.fixture(scope="module")
def clean(droplet: Droplet) -> Iterator[Droplet]:
    """The droplet, all of it applied, with what other tests have left taken for right."""
    assert call(droplet, "state.apply").failed == {}
    call(droplet, "health.drift", "accept=True")
    yield droplet
    for _, undo in FOREIGN.values():
        droplet.run(undo, check=False)
    assert call(droplet, "state.apply").failed == {}
    look(droplet)


def test_a_droplet_as_it_was_left_has_no_drift(clean: Droplet) -> None:
    found = look(clean)
    assert (found["differences"], found["pending"], found["trouble"]) == ([], [], [])
    assert found["drift"] == "none"
    assert call(clean, "deploy.status").value["drift"]["summary"] == "none"


def test_what_was_changed_by_hand_is_found_told_and_put_right(clean: Droplet) -> None:
    for commands in OWNED.values():
        for command in commands:
            clean.run(command)
    for by_hand, _ in FOREIGN.values():
        clean.run(by_hand)
    found = look(clean)
    assert found["trouble"] == []
    told = names(found)
    lost = [name for name in (*OWNED, *FOREIGN) if not any(one.startswith(name) for one in told)]
    assert lost == [], found["differences"]
    assert len(told) == len(OWNED) + len(FOREIGN), told
    secret = clean.run(["cat", SECRET]).stdout.strip()
    record = clean.get("/var/lib/marketplace/drift.json").decode()
    assert secret not in record
    assert "hunter2" not in record
    assert secret not in json.dumps(found)
    status = call(clean, "deploy.status").value["drift"]
    assert status["summary"].startswith(f"{len(told)} differences since ")
    seconds_until(lambda: "drift" in {one["name"] for one in call(clean, "health.check").value["alerts"]}, 30)
    done = call(clean, "state.apply")
    assert done.failed == {}
    assert set(names(call(clean, "health.drift").value)) == {one for one in told if one.split()[0] in KINDS}
    for _, undo in FOREIGN.values():
        clean.run(undo)
    assert names(look(clean)) == []
    seconds_until(lambda: "drift/droplet" not in alerts.active(clean), 30)


KINDS = {name.split()[0] for name in FOREIGN}
