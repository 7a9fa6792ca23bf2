"""A droplet that the tree made before there was TLS between services, with data and users: it gets there unharmed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.droplet.conftest import prepared
from tests.droplet.test_state_data import ALLOW, started
from tests.support import inside, shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.paths import REPOSITORY
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load import running
from tests.support.load.state import sql

FIRST_WITH_TLS = "salt/marketplace/authority.sls"
PLAIN, ENCRYPTED = "10.213.20.11:6379", "10.213.20.11:6380"
UNENCRYPTED_CLIENTS = (
    "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
    "WHERE a.client_addr IS NOT NULL AND NOT s.ssl"
)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A checkout of the last tree without it."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(REPOSITORY), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    added = git("log", "--diff-filter=A", "--format=%H", "-1", "--", FIRST_WITH_TLS)
    checkout = tmp_path / "before"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(REPOSITORY), str(checkout)], check=True)
    subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", f"{added}^"], check=True)
    return checkout


def backend_started(droplet: Droplet) -> str:
    shown = ["docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", inside.live(droplet)]
    return droplet.run(shown).stdout


def pending(droplet: Droplet) -> str:
    return "\n".join(shipping.status(droplet)["pending"])


def test_a_droplet_without_tls_gets_there_under_load(
    site: Site, images: Images, before: Path, neighbour: Machine, note: Callable[[str], None]
) -> None:
    site.telegram()
    droplet = prepared(site, images, "older")
    try:
        droplet.put_tree(source=before)
        droplet.run(["/srv/deploy/bootstrap.sh", "development"])
        with running.users(neighbour, droplet, clients=10) as users:
            users.pause_until(50)
            services, backend = started(droplet), backend_started(droplet)
            droplet.put_tree()

            # It is shown truly what will be, and then it is so; nothing that runs is restarted.
            plan = call(droplet, "state.apply", "test=True")
            assert plan.failed == {}
            done = call(droplet, "state.apply")
            assert done.failed == {}
            assert set(done.changed) <= set(plan.changed), set(done.changed) - set(plan.changed)
            assert call(droplet, "state.apply").changed == {}
            assert (started(droplet), backend_started(droplet)) == (services, backend)
            users.pause_until(50)
            assert users.figures().failed == 0
            assert "was started without TLS" in pending(droplet)
            assert "Pending restart" in str(done.value)
            assert inside.reached(droplet, inside.live(droplet), [PLAIN, ENCRYPTED]) == {PLAIN, ENCRYPTED}

            # The next release uses TLS, and the next state.apply leaves nothing else.
            shipping.shipped(shipping.release(droplet, "1.0.0", "soak=0"))
            closed = call(droplet, "state.apply")
            assert closed.failed == {}
            assert "Ensure the containers are isolated" in closed.changed
            assert "Ensure PostgreSQL's access rules are written" in closed.changed
            assert call(droplet, "state.apply").changed == {}
            assert inside.reached(droplet, inside.live(droplet), [PLAIN, ENCRYPTED]) == {ENCRYPTED}
            assert sql(droplet, UNENCRYPTED_CLIENTS) == "0"
            assert started(droplet) == services

            # Going back goes to the older release's settings with TLS.
            shipping.shipped(shipping.rollback(droplet, "soak=0"))
            assert inside.reached(droplet, inside.live(droplet), [PLAIN, ENCRYPTED]) == {ENCRYPTED}
            users.pause_until(50)
            found = users.assert_lossless(droplet)
        note(f"{found.requests} requests through upgrade, release and rollback: {found.failed} failed")

        # What is left waits for a restart that is allowed.
        assert "health check changes when the container is made again" in pending(droplet)
        assert call(droplet, "state.apply", ALLOW).failed == {}
        assert call(droplet, "state.apply").changed == {}
        assert shipping.status(droplet)["pending"] == []
        assert inside.reached(droplet, "redis", ["127.0.0.1:6379", "127.0.0.1:6380"]) == {"127.0.0.1:6380"}
    finally:
        droplet.destroy()
