"""Every secret is a random value, so it can be looked for: outside files that only their owner reads it must not be."""

from __future__ import annotations

import pytest

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result

STORE = "/etc/marketplace/secrets"
# Where anything of ours, of Salt, of Docker or of the system may have written. Not the databases' own files.
PLACES = ["/etc", "/home", "/opt", "/root", "/run", "/srv/deploy", "/tmp", "/usr/local", "/var"]
NOT = ["--exclude-dir=overlay2", "--exclude-dir=volumes", "--exclude-dir=postgres", "--devices=skip"]


@pytest.fixture(scope="module")
def canaries(droplet: Droplet) -> str:
    """The values, one a line; those of the services' keys as well."""
    names = droplet.run(["ls", STORE]).stdout.split()
    values = [droplet.get(f"{STORE}/{name}").decode().strip() for name in names]
    assert len(values) >= 9
    assert all(len(value) >= 20 for value in values)
    for file in droplet.run(["find", "/etc/marketplace/tls/services", "-name", "*.pem"]).stdout.split():
        lines = droplet.get(file).decode().splitlines()
        if "-----BEGIN PRIVATE KEY-----" in lines:
            values.append(lines[lines.index("-----BEGIN PRIVATE KEY-----") + 1])
    return "\n".join(values) + "\n"


def search(droplet: Droplet, canaries: str, *command: str) -> Result:
    """Have a command's output searched on the droplet; the values themselves are on no command line."""
    script = (
        'patterns=$(cat); "$@" 2>&1 | grep --count --text --fixed-strings --file=<(printf %s "$patterns")'
    )
    return droplet.run(["bash", "-c", script, "bash", *command], stdin=canaries, check=False)


def test_files_that_others_may_read_hold_no_secret(droplet: Droplet, canaries: str) -> None:
    grep = [
        "grep",
        "--recursive",
        "--files-with-matches",
        "--text",
        "--fixed-strings",
        "--file=-",
        *NOT,
        *PLACES,
    ]
    found = droplet.run(grep, stdin=canaries, check=False).stdout.splitlines()
    # It does find what is there.
    assert f"{STORE}/telegram_token" in found
    # systemd gives a unit's credentials to its user by an access list, whose mask looks like a group's rights.
    given = [file for file in found if file.startswith("/run/credentials/")]
    for file in given:
        assert not droplet.run(["runuser", "-u", "nobody", "--", "cat", file], check=False).ok
    modes = droplet.run(["stat", "--format=%a %n", *(set(found) - set(given))]).stdout.splitlines()
    assert [line for line in modes if line.split()[0] not in ("400", "600")] == []


@pytest.mark.parametrize(
    "command",
    [
        ["journalctl", "--namespace=*", "--no-pager", "--output=export"],
        ["sh", "-c", "docker inspect $(docker ps --all --quiet)"],
        ["sh", "-c", "docker image inspect $(docker image ls --quiet)"],
        ["sh", "-c", "cat /proc/[0-9]*/cmdline"],
        ["sh", "-c", "cat /proc/[0-9]*/environ"],
        ["sh", "-c", "cat /var/lib/marketplace/ledger/*"],
        ["salt-call", "settings.show"],
        ["salt-call", "deploy.history"],
    ],
    ids=lambda command: command[-1],
)
def test_what_the_droplet_tells_holds_no_secret(droplet: Droplet, canaries: str, command: list[str]) -> None:
    assert search(droplet, canaries, *command).stdout.strip() == "0"


def test_salt_says_no_secret_even_when_it_says_everything(droplet: Droplet, canaries: str) -> None:
    # Everything that handles a secret does its work once more, before the eyes of the log.
    for consumer in ("backend", "migration", "postgres", "redis"):
        droplet.run(["sh", "-c", f"chmod 0440 /etc/marketplace/delivered/{consumer}/*"])
    which = "marketplace.secrets,marketplace.cache,marketplace.database"
    apply = ["salt-call", "--log-level=debug", "state.apply", which]
    script = (
        'patterns=$(cat); "$@" > /run/said 2>&1; '
        'grep --count --text --fixed-strings --file=<(printf %s "$patterns") /run/said; grep --count . /run/said'
    )
    counts = droplet.run(["bash", "-c", script, "bash", *apply], stdin=canaries, check=False).stdout.split()
    droplet.run(["rm", "/run/said"])
    assert counts[0] == "0"
    assert int(counts[1]) > 200
