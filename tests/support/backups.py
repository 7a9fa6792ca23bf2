"""Backups on a droplet, as tests take, spoil and judge them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result
from tests.support.droplet.salt import call
from tests.support.droplet.storage import Storage
from tests.support.load.state import secret_of

PLACE = "/var/backups/marketplace/data"
BARMAN = f"{PLACE}/barman/postgres"
BUCKET = "backups"
"""In the object storage."""
UNIT = "barman-receive-wal@postgres.service"

# As the view without a terminal tells of a step: "database: 20261125T023000: 4.1M (2.3 s)".
_STEP = re.compile(r"([a-z]+)(?: failed)?: ")
_FLIP = """import sys
with open(sys.argv[1], "rb+") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte[0] ^ 1]))
"""


def taken(droplet: Droplet, *arguments: str) -> dict[str, Any]:
    """What ``backup.create`` answers, which has to have gone well."""
    answer = call(droplet, "backup.create", *arguments)
    assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
    assert answer.value["outcome"] == "good", answer.value
    found: dict[str, Any] = answer.value
    return found


def listed(droplet: Droplet, kind: str) -> list[dict[str, Any]]:
    """Rows of ``backup.list`` of one kind, newest first."""
    return [row for row in call(droplet, "backup.list").value if row["what"] == kind]


def problems(droplet: Droplet) -> list[str]:
    """What ``backup.verify`` finds."""
    answer = call(droplet, "backup.verify")
    found: list[str] = answer.value["problems"] + answer.value["past"]
    assert (answer.returncode != 0) == bool(found), answer.value
    return found


@contextmanager
def flipped(droplet: Droplet, file: str, offset: int) -> Iterator[None]:
    """One bit of a file is another inside the block."""
    droplet.run(["python3", "-c", _FLIP, file, str(offset)])
    try:
        yield
    finally:
        droplet.run(["python3", "-c", _FLIP, file, str(offset)])


def segments(droplet: Droplet) -> list[str]:
    """Paths of the log segments that are put away, oldest first."""
    found = droplet.run(["find", f"{BARMAN}/wals", "-regex", ".*/[0-9A-F]+"]).stdout.split()
    return sorted(path for path in found if len(path.rsplit("/", 1)[1]) == 24)


def kill(droplet: Droplet, function: str, seconds: float, *arguments: str) -> str:
    """Begin ``function``, and kill it with SIGKILL after so long.

    Returns:
        Where that was: "behind" the last step that was over, "before all", or "over" where it had ended by itself.
    """
    script = (
        'after=$1; told=$(mktemp); shift; salt-call --local "$@" >/dev/null 2>$told & sleep "$after"; '
        "kill -9 $! || echo over; wait; cat $told; rm $told"
    )
    told = droplet.run(
        ["bash", "-c", script, "bash", f"{seconds:.2f}", function, *arguments], check=False
    ).stdout.splitlines()
    if "over" in told[:1]:
        return "over"
    steps = [found.group(1) for line in told if (found := _STEP.match(line))]
    return f"behind {steps[-1]}" if steps else "before all"


def kill_once_there(droplet: Droplet, file: str, function: str, *arguments: str) -> None:
    """Begin ``function``, and kill it with SIGKILL as soon as a file is there."""
    script = (
        'file=$1; shift; salt-call --local "$@" >/dev/null 2>&1 & '
        "while kill -0 $! 2>/dev/null && [ ! -e $file ]; do sleep 0.02; done; kill -9 $!"
    )
    droplet.run(["bash", "-c", script, "bash", file, function, *arguments])


def redis(droplet: Droplet, *commands: str) -> list[str]:
    """What Redis answers to each command, given by the operator; a word each."""
    password = secret_of(droplet, "redis_operator_password")
    answer = droplet.run(
        ["docker", "exec", "-i", "redis", "redis-cli", "--tls", "--insecure", "-p", "6380"],
        stdin="\n".join([f"AUTH operator {password}", *commands, ""]),
    )
    return answer.stdout.split()[1:]


def rebuild(
    bare: Droplet, storage: Storage, key: bytes, prefix: str = "droplet", killed_after: float = 0
) -> Result:
    """Have a bare droplet become the one whose backups are in the storage; it has the tree and no pillar of its own."""
    bare.put("/root/key", key, 0o600)
    bare.put("/root/secret", storage.secret, 0o600)
    place = ["--restore-from", f"s3:{BUCKET}/{prefix}", "--endpoint", Storage.ENDPOINT]
    access = ["--access-key", Storage.ACCESS_KEY, "--secret-file", "/root/secret", "--key-file", "/root/key"]
    deadline = ["timeout", "--signal=KILL", f"{killed_after:.1f}"] if killed_after else []
    return bare.run([*deadline, "/srv/deploy/bootstrap.sh", "development", *place, *access], check=False)


def copied_to(storage: Storage, local: dict[str, Any], prefix: str = "droplet") -> dict[str, Any]:
    """A pillar that has the backups shipped there."""
    place = {
        "target": f"s3:{BUCKET}/{prefix}",
        "endpoint": Storage.ENDPOINT,
        "access_key": Storage.ACCESS_KEY,
    }
    return local | {
        "backup": local["backup"] | {"storage": place},
        "secrets": local["secrets"] | {"backup_storage_secret": {"value": storage.secret}},
    }
