"""Droplets for end-to-end tests: one site for the whole run, one droplet on it that bootstrap.sh has converged.

`pytest --site NAME` uses the site of that name and keeps it, so that the next run finds a converged droplet;
`python -m tests.support.droplet destroy NAME` throws it away.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import testinfra
from testinfra.host import Host

from tests.support import backups
from tests.support.botapi.client import BotApi
from tests.support.droplet import host as engine
from tests.support.droplet import pillar, snapshot
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site, names
from tests.support.droplet.storage import Storage
from tests.support.load import running
from tests.support.load.running import Load
from tests.support.turns import turn

TEMPORARY = "test-"
STARTED = "MARKETPLACE_ENGINE_WAS_STARTED"
"""In the environment, which processes side by side inherit: the engine that was there before the run, or nothing."""
os.environ.setdefault(STARTED, str(engine.started_by_us() or ""))


FIRST = (
    "salt_ssh", "alerts", "release", "backup_copy", "backup_restore", "state_data", "release_concurrency", "converge",
    "release_bad", "survives", "certificate", "release_rollback", "release_kill", "backup", "limits", "services_tls",
    "state_firewall", "drift",
)  # fmt: skip
LAST = ("state_host", "state_ssh", "release_load", "rotation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that processes side by side end together; those that need the machine alone last.

    test_alerts comes first on its droplet: it asks what is in the news.
    """

    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        if name in FIRST:
            return FIRST.index(name)
        return len(FIRST) + (1 + LAST.index(name) if name in LAST else 0)

    items.sort(key=place)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--site", metavar="NAME", help="use this site of local droplets, and keep it")


@pytest.fixture(autouse=True)
def _turn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that are marked ``alone`` have the machine to themselves; others run beside another site's."""
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        yield  # There is nobody else.
        return
    # Processes side by side each have a directory within the run's.
    with turn(tmp_path_factory.getbasetemp().parent, request.node.get_closest_marker("alone") is not None):
        yield


@pytest.fixture(scope="session")
def progress() -> Progress:
    """Lines that show through pytest's capture: a run in which nothing is said for minutes looks dead."""
    return Progress(sys.__stderr__)


@pytest.fixture(scope="session")
def docker_client(progress: Progress) -> Iterator[docker.DockerClient]:
    """The host's engine. One that had to be started for this run is stopped after it, by who is the last to use it."""
    client = engine.ensure(progress.note)
    yield client
    others = names(client)
    client.close()
    if not os.environ[STARTED] and not others:
        engine.stop()


@pytest.fixture(scope="session")
def site(
    request: pytest.FixtureRequest, docker_client: docker.DockerClient, progress: Progress
) -> Iterator[Site]:
    """The network with registry and Bot API stand-in that the run's droplets stand on."""
    for name in names(docker_client):
        if name.startswith(TEMPORARY) and not _alive(name.removeprefix(TEMPORARY)):
            Site(name, docker_client, progress.note).destroy()  # Left by a run that was killed.
    kept = request.config.getoption("--site", default=None)
    if kept and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
        kept += f"-{worker}"  # Side by side, each has one of its own.
    made = Site(kept or f"{TEMPORARY}{os.getpid()}", docker_client, progress.note)
    try:
        yield made
    finally:
        if not kept:
            made.destroy()


def _alive(pid: str) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


@pytest.fixture(scope="session")
def images(site: Site, progress: Progress) -> Images:
    """PostgreSQL, Redis and the backend's first version, pinned, in the site's registry."""
    with progress.step("images in the site's registry"):
        return site.images()


@pytest.fixture(scope="session")
def botapi(site: Site) -> BotApi:
    """What users do in Telegram, and what they see."""
    return site.telegram()


@pytest.fixture
def fresh(site: Site, images: Images) -> Iterator[Callable[[str], Droplet]]:
    """``fresh(role)`` boots a bare droplet with the checkout at /srv/deploy and a pillar; the test's end removes it."""
    with contextlib.ExitStack() as stack:

        def make(role: str) -> Droplet:
            droplet = prepared(site, images, role)
            stack.callback(droplet.destroy)
            return droplet

        yield make


@pytest.fixture(scope="session")
def droplet(site: Site, images: Images, botapi: BotApi, progress: Progress) -> Droplet:
    """The droplet, converged once by bootstrap.sh. Leave it as you found it, or ask for ``undone`` as well."""
    with progress.step("a droplet"):
        made = prepared(site, images, "droplet")
    with progress.step("./bootstrap.sh development"):
        made.run(["/srv/deploy/bootstrap.sh", "development"])
    return made


def prepared(
    site: Site, images: Images, role: str, local: dict[str, Any] | None = None, disk: int = 0
) -> Droplet:
    """A droplet with the checkout and a pillar/local (the site's, unless given), as an operator has it before
    bootstrap.sh; ``disk``: its bytes, where it is not to have all of this machine's.
    """
    made = site.droplet(role, disk=disk)
    made.put_tree()
    pillar.write(made, local or pillar.local(site, images))
    return made


@pytest.fixture(scope="session")
def converged(droplet: Droplet, site: Site, progress: Progress) -> snapshot.Snapshot:
    """The droplet as bootstrap.sh (and the tests before the first that asked) left it."""
    with progress.step("snapshot of the droplet"):
        return snapshot.take(droplet, site.name, "converged")


@pytest.fixture
def undone(droplet: Droplet, converged: snapshot.Snapshot) -> Iterator[Droplet]:
    """The droplet, for a test that breaks it: afterwards it is put back to the snapshot (some 5 s)."""
    yield droplet
    snapshot.restore(droplet, converged)
    # The Bot API may know another certificate by now, and would believe no other.
    droplet.run(["rm", "-f", "/var/lib/marketplace/webhook.json"])
    assert call(droplet, "state.apply", "marketplace.webhook").failed == {}


@pytest.fixture(scope="session")
def host(droplet: Droplet) -> Host:
    """testinfra's view of the converged droplet."""
    return testinfra.get_host(f"docker://{droplet.name}")


@pytest.fixture(scope="session")
def neighbour(site: Site) -> Machine:
    """Another host on the droplet's network, with python3."""
    return site.neighbour()


@pytest.fixture
def load(droplet: Droplet, neighbour: Machine) -> Iterator[Callable[..., Load]]:
    """``load(clients, rate)`` starts users who write to the bot through the edge; the test's end ends them."""
    with contextlib.ExitStack() as stack:

        def start(clients: int = 20, rate: float = 1.0) -> Load:
            return stack.enter_context(running.users(neighbour, droplet, clients, rate))

        yield start


@pytest.fixture(scope="module")
def storage(site: Site) -> Storage:
    """An object storage, with a bucket for the copy of the backups."""
    made = site.storage()
    made.bucket(backups.BUCKET)
    # On a site that was kept, what is there may be another droplet's.
    for name in made.objects(backups.BUCKET):
        made.delete(backups.BUCKET, name)
    return made


@pytest.fixture(scope="module")
def copied(droplet: Droplet, site: Site, images: Images, storage: Storage) -> Iterator[Droplet]:
    """The droplet, whose backups are shipped there."""
    local = pillar.local(site, images)
    pillar.write(droplet, backups.copied_to(storage, local))
    assert call(droplet, "state.apply").failed == {}
    assert call(droplet, "state.apply").changed == {}
    yield droplet
    pillar.write(droplet, local)
    assert call(droplet, "state.apply").failed == {}


@pytest.fixture(scope="session")
def controller(site: Site) -> Machine:
    """A laptop: python3 with venv, and nothing else."""
    return site.controller()
