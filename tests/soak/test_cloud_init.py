"""A new droplet with the user data of cloud-init/ converges by itself, and waits for what only people have."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.paths import REPOSITORY
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site

UNIT = "marketplace-first-converge.service"
ORIGIN = "/srv/origin.git"
TOKEN = f"7000000003:{'c' * 35}"


@pytest.fixture
def born(site: Site, images: Images, botapi: BotApi, tmp_path: Path) -> Iterator[Droplet]:
    """A droplet at its first boot, which finds the checkout's files in a repository."""
    data = (REPOSITORY / "cloud-init/user-data.yaml").read_text()
    line = next(line for line in data.splitlines() if "REPOSITORY=" in line)
    made = site.droplet(
        "cloud-born", user_data=data.replace(line.split("REPOSITORY=")[1], ORIGIN), name="development"
    )
    made.put("/tmp/origin.tar", repository(tmp_path))
    # In one move: the droplet looks for it already.
    made.run(["mkdir", "-p", "/srv/unpacked"])
    made.run(["tar", "-x", "-f", "/tmp/origin.tar", "-C", "/srv/unpacked"])
    made.run(["mv", "/srv/unpacked", ORIGIN])
    yield made
    made.destroy()


def repository(scratch: Path) -> bytes:
    """An archive of a repository whose only commit is what the checkout holds now."""
    bare = scratch / "origin.git"
    git = [
        "git",
        f"--git-dir={bare}",
        f"--work-tree={REPOSITORY}",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t.test",
    ]
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)], check=True)
    subprocess.run([*git, "add", "--all"], check=True, cwd=REPOSITORY)
    subprocess.run([*git, "commit", "--quiet", "--message=The tree"], check=True, cwd=REPOSITORY)
    return Path(shutil.make_archive(str(scratch / "origin"), "tar", bare)).read_bytes()


def wait(droplet: Droplet, until: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        said = droplet.run(["journalctl", "--no-pager", "--lines=30", f"--unit={UNIT}"], check=False).stdout
        assert time.monotonic() < deadline, said
        time.sleep(1)


def test_a_new_droplet_converges_itself(
    born: Droplet, site: Site, images: Images, note: Callable[[str], None]
) -> None:
    def said() -> str:
        return born.run(["journalctl", "--no-pager", f"--unit={UNIT}"], check=False).stdout

    started = time.monotonic()
    wait(born, lambda: "secrets.telegram_token is missing" in said(), 300)
    assert not born.run(["test", "-e", "/etc/marketplace/settings.json"], check=False).ok
    assert "status: done" in born.run(["cloud-init", "status", "--wait"], check=False).stdout
    # Two droplets must not take each other's webhook.
    own = {
        "secrets": {"telegram_token": {"value": TOKEN}, "alerts_telegram_token": {"value": site.alerts_token}}
    }
    local = pillar.local(site, images) | own | {"edge": {"domains": ["cloud-born.test"]}}
    asked, given = time.monotonic() - started, time.monotonic()
    pillar.write(born, local)
    wait(born, lambda: not enabled(born), 600)
    took = time.monotonic() - given
    note(
        f"A new droplet asked for its token after {asked:.0f} s, and was converged {took:.0f} s after it got one: "
        f"{asked + took:.0f} s in all."
    )
    status = call(born, "deploy.status").value
    assert status["live"]["version"] == "1.0.0"
    assert status["health"]["status"] == "healthy"
    assert site.telegram(TOKEN).ask("/start", chat_id=611)
    again = call(born, "state.apply")
    assert (again.failed, again.changed) == ({}, {})
    assert born.get("/etc/salt/minion_id") == b"development"


def enabled(droplet: Droplet) -> bool:
    return droplet.run(["systemctl", "is-enabled", UNIT], check=False).stdout.strip() == "enabled"
