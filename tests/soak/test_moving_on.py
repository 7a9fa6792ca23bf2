"""A droplet that an early tree made, with data and users, gets to today's unharmed, and not back by mistake.

It had no TLS between services, no backups, and an earlier Salt. No tag names that tree: it
is the last commit without TLS between services, found by the history of the file that brought it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.droplet.test_state_data import ALLOW, started
from tests.support import inside, shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.paths import REPOSITORY
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load, Target
from tests.support.load.state import secret_of, sql, webhook_path

pytestmark = pytest.mark.timeout(2400)
# The last commit without it is the tree before.
FIRST_WITH_TLS = "salt/marketplace/authority.sls"
EARLIER_SALT = "3008.2"
# Sections of pillar that came later.
SINCE = ("backup", "logs", "alerts")
ROLE, NAME = "older", "older.test"
NEXT = "1.0.1"
PLAIN, ENCRYPTED = "10.213.20.11:6379", "10.213.20.11:6380"
UNENCRYPTED_CLIENTS = (
    "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
    "WHERE a.client_addr IS NOT NULL AND NOT s.ssl"
)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A checkout of the tree before, with an earlier Salt in its locked list."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(REPOSITORY), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    added = git("log", "--diff-filter=A", "--format=%H", "-1", "--", FIRST_WITH_TLS)
    checkout = tmp_path / "before"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(REPOSITORY), str(checkout)], check=True)
    subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", f"{added}^"], check=True)
    files = checkout / "formulas/minion/files"
    wanted = files / "requirements.in"
    wanted.write_text(re.sub(r"^salt==.*", f"salt=={EARLIER_SALT}", wanted.read_text(), flags=re.MULTILINE))
    options = "--quiet --generate-hashes --no-header --no-emit-index-url --no-emit-find-links"
    # Neither has a wheel, and a droplet of this tree's needs neither (rpm-vercmp is for packages of another kind).
    options += " --no-emit-package timelib --no-emit-package rpm-vercmp"
    lock = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "compile",
        *options.split(),
        "--python-version=3.13",
    ]
    subprocess.run([*lock, str(wanted), "-o", str(files / "requirements.txt")], check=True)
    return checkout


def backend_started(droplet: Droplet) -> str:
    shown = ["docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", inside.live(droplet)]
    return droplet.run(shown).stdout


def pending(droplet: Droplet) -> str:
    return "\n".join(shipping.status(droplet)["pending"])


APP_ADDRESS = "{{.NetworkSettings.Networks.app.IPAddress}}"
# The backend itself: the edge in front of it restarts once where its unit has changed.
WATCH = """
while [ -e /run/watched ]; do
    curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}\\n' "http://$1:8080/health/ready"
    sleep 0.2
done > /run/watch.log
"""


@contextmanager
def ready_throughout(droplet: Droplet) -> Iterator[None]:
    """For as long as the block the live colour, asked five times a second, says it reaches PostgreSQL and Redis."""
    droplet.put("/run/watched", "")
    address = droplet.run(["docker", "inspect", "--format", APP_ADDRESS, inside.live(droplet)]).stdout.strip()
    droplet.run(["systemd-run", "--quiet", "--unit=watch", "bash", "-c", WATCH, "watch", address])
    yield
    droplet.run(["rm", "/run/watched"])
    droplet.run(["sh", "-c", "while systemctl --quiet is-active watch; do sleep 0.1; done"])
    codes = droplet.get("/run/watch.log").decode().split()
    assert len(codes) > 10
    assert set(codes) == {"200"}, codes


def wanted(site: Site, images: Images) -> dict[str, Any]:
    """What today's tree is told."""
    return pillar.local(site, images) | {"edge": {"domains": [NAME]}}


def commit(droplet: Droplet) -> str:
    """The tree that is on the droplet."""
    return droplet.run(["git", "-C", "/srv/deploy", "rev-parse", "HEAD"]).stdout.strip()


def salt_version(droplet: Droplet) -> str:
    return droplet.run(["salt-call", "--version"]).stdout.split()[1]


def users_of(neighbour: Machine, droplet: Droplet) -> Load:
    """People who write to the bot of a droplet that has a name of its own."""
    certificate = droplet.run(["openssl", "x509", "-in", f"/etc/haproxy/certs/{NAME}.pem"]).stdout
    secret = secret_of(droplet, "webhook_secret")
    return Load(
        neighbour, Target(droplet.address(), certificate, secret, webhook_path(droplet), name=NAME), 10
    )


@pytest.fixture
def older(site: Site, images: Images, before: Path) -> Iterator[Droplet]:
    """A droplet that the tree before has converged, with a release that is live."""
    site.telegram()
    droplet = site.droplet(ROLE)
    droplet.run(["apt-get", "update", "-qq"])
    droplet.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "git"])
    droplet.put_tree(source=before)
    said = wanted(site, images)
    del said["secrets"]["alerts_telegram_token"]
    pillar.write(droplet, {name: value for name, value in said.items() if name not in SINCE})
    droplet.run(["/srv/deploy/bootstrap.sh", "development"])
    yield droplet
    droplet.destroy()


def test_a_droplet_without_tls_gets_there_in_use(
    older: Droplet, site: Site, images: Images, neighbour: Machine, note: Callable[[str], None]
) -> None:
    droplet = older
    site.backend(NEXT)
    sql(droplet, "CREATE TABLE kept AS SELECT 7 AS number")
    services, backend = started(droplet), backend_started(droplet)
    first = commit(droplet)
    assert salt_version(droplet) == EARLIER_SALT
    droplet.put_tree()
    pillar.write(droplet, wanted(site, images))

    # It is shown truly what will be, and then it is so; nothing that runs is restarted.
    with ready_throughout(droplet):
        plan = call(droplet, "state.apply", "test=True")
        assert plan.failed == {}
        done = call(droplet, "state.apply")
        assert done.failed == {}
        assert set(done.changed) <= set(plan.changed), set(done.changed) - set(plan.changed)
        assert call(droplet, "state.apply").changed == {}
    assert (started(droplet), backend_started(droplet)) == (services, backend)
    assert salt_version(droplet) != EARLIER_SALT
    assert "was started without TLS" in pending(droplet)
    assert "pending restart in data" in pending(droplet)
    assert inside.reached(droplet, inside.live(droplet), [PLAIN, ENCRYPTED]) == {PLAIN, ENCRYPTED}

    users = users_of(neighbour, droplet).start()
    try:
        # The next release uses TLS, and the next state.apply leaves nothing else.
        shipped = shipping.shipped(shipping.release(droplet, NEXT, "soak=0"))
        assert shipped["tree"] == commit(droplet)
        assert {record["tree"] for record in call(droplet, "deploy.history").value} == {
            first,
            commit(droplet),
        }
        closed = call(droplet, "state.apply")
        assert closed.failed == {}
        assert "Ensure the containers are isolated" in closed.changed
        assert "Ensure PostgreSQL's access rules are written" in closed.changed
        assert call(droplet, "state.apply").changed == {}
        assert inside.reached(droplet, inside.live(droplet), [PLAIN, ENCRYPTED]) == {ENCRYPTED}
        assert sql(droplet, UNENCRYPTED_CLIENTS) == "0"

        # Going back goes to the release that was started without it: with TLS.
        assert shipping.shipped(shipping.rollback(droplet, "soak=0"))["version"] == "1.0.0"
        assert inside.reached(droplet, inside.live(droplet), [PLAIN, ENCRYPTED]) == {ENCRYPTED}
        assert started(droplet) == services
        users.pause_until(50)
        found = users.assert_lossless(droplet)
    finally:
        users.abandon()
    note(f"{found.requests} requests through release, closing and rollback: {found.failed} failed")
    assert sql(droplet, "SELECT number FROM kept") == "7"

    # What is left waits for a restart that is allowed.
    assert "health check changes when the container is made again" in pending(droplet)
    assert call(droplet, "state.apply", ALLOW).failed == {}
    assert call(droplet, "state.apply").changed == {}
    # What it went back to has its settings of then.
    assert [
        words
        for words in shipping.status(droplet)["pending"]
        if "deploy.release 1.0.0 ships them" not in words
    ] == []
    shipping.shipped(shipping.release(droplet, "1.0.0", "soak=0"))
    assert shipping.status(droplet)["pending"] == []
    assert inside.reached(droplet, "redis", ["127.0.0.1:6379", "127.0.0.1:6380"]) == {"127.0.0.1:6380"}

    # Somebody comes with an older checkout.
    settings = droplet.get("/etc/marketplace/settings.json")
    droplet.run(["git", "-C", "/srv/deploy", "checkout", "--quiet", "--force", f"{commit(droplet)}~1"])
    for test in ((), ("test=True",)):
        refused = call(droplet, "state.apply", *test)
        assert refused.returncode != 0
        assert "is older than the one that this droplet was converged with" in str(refused.value)
    for function in (("deploy.release", NEXT), ("backup.create",), ("settings.rotate", "webhook_path")):
        stale = call(droplet, *function)
        assert (stale.returncode, stale.value["outcome"]) == (1, "refused")
        assert "is older than the one that this droplet was converged with" in stale.value["reason"]
    assert droplet.get("/etc/marketplace/settings.json") == settings
    assert call(droplet, "state.apply", "pillar={allow_older_tree: true}").failed == {}
