"""A laptop with Python, Salt and a checkout converges a bare droplet over ssh, and ships a release: no root login, no
Docker, nothing installed on the droplet beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import yaml

from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import Answer, parse
from tests.support.droplet.site import Images, Site

HOME = "/home/ops"
CHECKOUT = f"{HOME}/deploy"
INSTALL = """
set -eu
python3 -m venv salt
awk '/^[a-z]/ { keep = /^setuptools==/ } keep' "$1" > build.txt
salt/bin/pip install --quiet --no-deps --require-hashes -r build.txt
salt/bin/pip install --quiet --no-deps --no-build-isolation --require-hashes -r "$1"
mkdir -p -m 700 .ssh
[ -e .ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
"""


@dataclasses.dataclass
class Laptop:
    """The controller, as its user without privileges."""

    machine: Machine

    def run(self, *argv: str) -> str:
        return self.machine.run(argv, user="ops", cwd=HOME, environment={"HOME": HOME}).stdout

    def salt_ssh(self, function: str, *arguments: str) -> Answer:
        result = self.machine.run(
            [f"{HOME}/salt/bin/salt-ssh", "development", function, *arguments, "--out=json"],
            user="ops", cwd=CHECKOUT, environment={"HOME": HOME}, check=False,
        )  # fmt: skip
        return parse(result, key="development")


@pytest.fixture
def target(site: Site, images: Images, botapi: BotApi) -> object:
    """A bare droplet that only its image's user and key give access to."""
    made = site.droplet("bare")
    made.run(["rm", "-r", "/root/.ssh"])
    made.run(["useradd", "--create-home", "--shell=/bin/bash", "deploy"], check=False)
    made.put("/etc/sudoers.d/deploy", "deploy ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    yield made
    made.destroy()


@pytest.fixture
def laptop(controller: Machine, site: Site, images: Images, target: Droplet) -> Laptop:
    site.trust(controller)
    controller.run(["apt-get", "update", "-qq"])
    controller.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "openssh-client"])
    controller.run(["useradd", "--create-home", "--shell=/bin/bash", "ops"], check=False)
    controller.put_tree(CHECKOUT)
    roster = {"host": "bare.test", "user": "deploy", "sudo": True}
    controller.put(f"{CHECKOUT}/roster", yaml.safe_dump({"development": roster}))
    # A bot and a name of its own: two droplets must not take each other's webhook.
    own = {
        "secrets": {
            "telegram_token": {"value": f"7000000002:{'o' * 35}"},
            "alerts_telegram_token": {"value": site.alerts_token},
        },
        "edge": {"domains": ["bare.test"]},
    }
    controller.put(
        f"{CHECKOUT}/pillar/local/init.sls", yaml.safe_dump(pillar.local(site, images) | own), 0o600
    )
    controller.run(["chown", "--recursive", "ops:ops", HOME])
    made = Laptop(controller)
    made.run("sh", "-c", INSTALL, "install", f"{CHECKOUT}/formulas/minion/files/requirements.txt")
    key = controller.get(f"{HOME}/.ssh/id_ed25519.pub").decode()
    target.run(["install", "-d", "-m", "700", "-o", "deploy", "-g", "deploy", "/home/deploy/.ssh"])
    target.put("/home/deploy/.ssh/authorized_keys", key)
    host_key = target.get("/etc/ssh/ssh_host_ed25519_key.pub").decode().strip()
    controller.put(f"{HOME}/.ssh/known_hosts", f"bare.test {host_key}\n")
    return made


def test_bare_droplet_converges_and_ships_over_ssh(
    laptop: Laptop, target: Droplet, site: Site, progress: Callable[[str], None]
) -> None:
    assert target.run(["test", "-e", "/srv/deploy"], check=False).returncode != 0
    early = laptop.salt_ssh("deploy.status")
    assert early.returncode != 0
    assert "Has development been converged?" in str(early.value)
    applied = laptop.salt_ssh("state.apply")
    assert applied.failed == {}
    assert applied.returncode == 0
    assert "Ensure the backend is released" in applied.changed
    assert target.run(["ls", "-A", "/srv/deploy"]).stdout.split() == ["REVISION", "salt"]

    again = laptop.salt_ssh("state.apply")
    assert (again.failed, again.changed) == ({}, {})

    site.backend("1.1.0")
    shipped = laptop.salt_ssh("deploy.release", "1.1.0")
    assert shipped.returncode == 0
    assert shipped.value["outcome"] == "live"
    assert shipped.value["by"] == "deploy"
    assert shipped.value["tree"] == target.get("/srv/deploy/REVISION").decode().strip()
    assert len(shipped.value["tree"]) == 40
    assert "switch: blue -> green" in shipped.stderr

    status = laptop.salt_ssh("deploy.status")
    assert status.value["live"]["version"] == "1.1.0"
    assert status.value["health"]["status"] == "healthy"
    shown = laptop.salt_ssh("settings.show", "edge.domains")
    assert shown.value == {"edge.domains": {"value": ["bare.test"], "origin": "pillar/local/init.sls"}}
    assert laptop.salt_ssh("settings.check").value == []
    differing = laptop.salt_ssh("settings.diff", "staging", "production").value
    assert list(differing) == ["edge.domains", "edge.certificate"]
    refused = laptop.salt_ssh("deploy.release", "9.9.9")
    assert refused.returncode != 0
    assert refused.value["outcome"] == "refused"
    healthy = laptop.salt_ssh("health.check", "brief=True")
    assert (healthy.returncode, healthy.value["status"]) == (0, "healthy")
    release = status.value["live"]["release"]
    logged = laptop.salt_ssh("deploy.logs", "service=backend", f"release={release}", "lines=5")
    assert logged.returncode == 0
    assert {(row["service"], row["release"]) for row in logged.value} == {("backend", release)}
    # The states are not there; what no state owns is looked at, and what salt-ssh has written is no drift.
    drift = laptop.salt_ssh("health.drift", "now=True", "wait=60")
    assert (drift.returncode, drift.value["drift"]) == (0, "none"), drift.value
    assert "converged from elsewhere" in drift.value["note"]
    # Between two converges the droplet needs nobody: its own salt-call has the engine and the settings.
    local = parse(target.run(["salt-call", "--out=json", "deploy.status"]))
    assert local.value["live"] == status.value["live"]
    # And it says so when somebody tries to converge it without its pillar.
    alone = target.run(["salt-call", "--retcode-passthrough", "state.apply"], check=False)
    assert alone.returncode != 0
    assert "converged from a controller" in alone.stdout + alone.stderr
