"""The real effects, on a droplet that serves. Nothing of it is left changed."""

import http.client
import json
import os
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from marketplace_durable import read_json
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_reference import Reference
from marketplace_world import World

from tests.contract.effects import ONE_OFF, PROBE, PROJECT, Effects

GOOD = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); time.sleep(3600)"
SCRIPTS = {
    "prints": "import sys; print('out'); print('err', file=sys.stderr)",
    "fails": "import sys; print('err', file=sys.stderr); sys.exit(3)",
    "hangs": "import time; time.sleep(120)",
    "missing": "",
}


class Droplet:
    """What the checks need of the droplet besides the engine's effects."""

    def __init__(self, place: Path) -> None:
        self.world = World.of(Paths())
        self.place = place
        record = self.world.ledger.live()
        assert record is not None, "nothing is live on this droplet"
        self.image = record.image
        self.missing = f"{Reference.parse(record.image).repository}:nonsense"
        self.settings = read_json(self.world.paths.settings) or {}

    def effects(self) -> Effects:
        return Effects(
            world=self.world,
            place=self.place,
            lock=Lock(self.place.with_name(f"{self.place.name}.lock")),
            settings=self.settings,
            image=self.image,
            compose=self.compose,
            one_off=self.one_off,
            leave_stray=self.leave_stray,
            change_database=lambda: self._psql("CREATE TABLE contract_probe (number int)"),
            database_changed=lambda: self._psql("SELECT to_regclass('contract_probe')") != "",
            dies_holding=_dies_holding,
            post=self.post,
        )

    def post(self) -> int:
        """From the droplet's own address, which a local droplet counts among Telegram's."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect(("192.0.2.1", 9))  # Sends nothing: it only has an address chosen.
            own = way.getsockname()[0]
        secrets = self.world.paths.secrets
        path, token = ((secrets / name).read_text().strip() for name in ("webhook_path", "webhook_secret"))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(own, 443, timeout=10, context=context)
        try:
            connection.request(
                "POST",
                f"{self.settings['edge']['webhook_path']}/{path}",
                b"{}",
                {"X-Telegram-Bot-Api-Secret-Token": token, "Content-Type": "application/json"},
            )
            return connection.getresponse().status
        finally:
            connection.close()

    def compose(self, kind: str) -> str:
        exits = kind == "exits"
        service = {
            "image": self.missing if kind == "missing" else self.image,
            "pull_policy": "never",
            "container_name": PROBE,
            "init": True,
            "network_mode": "none",
            "healthcheck": {"disable": True},
            "entrypoint": ["python", "-c", "raise SystemExit(3)" if exits else GOOD],
            "restart": "on-failure" if exits else "unless-stopped",
            "labels": {"marketplace.release": "another" if kind == "another" else "contract"},
        }
        return str(yaml.safe_dump({"name": PROJECT, "services": {"probe": service}}))

    def one_off(self, kind: str) -> Sequence[str]:
        image = self.missing if kind == "missing" else self.image
        options = [
            "--rm",
            "--init",
            f"--name={ONE_OFF}",
            "--network=none",
            "--pull=never",
            "--no-healthcheck",
        ]
        return [*options, "--entrypoint=python", image, "-c", SCRIPTS[kind]]

    def leave_stray(self) -> str:
        """As compose leaves it: another container of the same service, with a name of its own."""
        shown = self.world.docker.run("inspect", "--format={{json .Config.Labels}}", PROBE).stdout
        labels = [f"--label={name}={value}" for name, value in json.loads(shown).items()]
        stray = f"0123456789ab_{PROBE}"
        self.world.docker.run("create", f"--name={stray}", "--network=none", *labels, self.image)
        return stray

    def _psql(self, query: str) -> str:
        database = self.settings["postgres"]["database"]
        argv = ["psql", "-U", "postgres", "-d", database, "-qAtX", "-c", query]
        result = self.world.docker.exec_in("postgres", argv, timeout=30)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


def _dies_holding(lock: Lock) -> None:
    child = os.fork()
    if child == 0:
        with lock.held("alice", "release of 1"):
            os._exit(1)
    os.waitpid(child, 0)


@contextmanager
def effects() -> Iterator[Effects]:
    """The effects, and a directory that is gone again afterwards."""
    place = Path(tempfile.mkdtemp(prefix="contract-", dir=Paths().state))
    try:
        yield Droplet(place).effects()
    finally:
        shutil.rmtree(place)
        place.with_name(f"{place.name}.lock").unlink(missing_ok=True)
