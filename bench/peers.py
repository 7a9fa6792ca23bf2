"""The same backend on the same droplet, run as people run it who have Docker Compose and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.support.droplet import image
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.errors import DropletError
from tests.support.droplet.site import DOMAIN, Site
from tests.support.load.running import Target, edge
from tests.support.load.state import secret_of
from tests.support.waiting import seconds_until

FILES = Path(__file__).parent / "peer"
HOME = "/srv/peer"
PORT = 9443
READY_SECONDS = 60
SERVICE = "bot"
"""Not ``backend``: Docker's DNS would answer that name with the live release's container as well."""
OWN = ("RELEASE", "VERSION", "COLOUR", "PATH")
"""Variables of the running backend that a peer's backend has from elsewhere."""


class Peer:
    """A Compose project ``peer`` on the droplet: the backend as a service, and a proxy in a container before it."""

    def __init__(self, site: Site, droplet: Droplet) -> None:
        self.site = site
        self.droplet = droplet
        self._edge = ""

    @contextlib.contextmanager
    def standing(self, backend: str) -> Iterator[Target]:
        """The project, up with the image ``backend`` (a reference that the droplet can pull), for as long as the block.

        Raises:
            AssertionError: its proxy does not serve in time.
        """
        tag = image.build_app(self.site.client, "edge", FILES, self.site.say)
        self._edge = self.site.registry().push(tag, "edge", "1").reference
        for file in ("haproxy.cfg", "compose.yaml", "scale"):
            self.droplet.put(f"{HOME}/{file}", (FILES / file).read_bytes(), mode=0o755)
        pair = self.droplet.get(f"/etc/haproxy/certs/{DOMAIN}.pem")
        self.droplet.put(f"{HOME}/tls/{DOMAIN}.pem", pair, mode=0o600)
        self.droplet.put(f"{HOME}/backend.env", self._environment())
        # Such a droplet drops published ports, and keeps containers apart that it does not know: both wait meanwhile.
        accept = ["ct", "status", "dnat", "accept"]
        self.droplet.run(["nft", "insert", "rule", "inet", "host", "forward", *accept])
        self.droplet.run(["nft", "delete", "table", "bridge", "isolation"])
        try:
            self.compose(backend, "up", "--detach", "--wait")
            seconds_until(self._serves, READY_SECONDS)
            # Its proxy takes nothing off the path.
            path = json.loads(self.droplet.get("/etc/marketplace/settings.json"))["edge"]["webhook_path"]
            # Nor does it replace Telegram's secret by the one that the backend knows.
            secret = secret_of(self.droplet, "backend_webhook_secret")
            yield replace(edge(self.droplet), port=PORT, path=path, secret=secret)
        finally:
            self.compose(backend, "down", "--timeout", "5")
            self.droplet.run(["nft", "--file", "/etc/marketplace/isolation.nft"])
            self.droplet.run(["systemctl", "restart", "firewall.service"])

    def up(self, backend: str) -> None:
        """Move to another image in Compose's own way: the container is replaced."""
        self.compose(backend, "up", "--detach", "--wait", SERVICE)

    def scale(self, backend: str) -> None:
        """Move to another image by scaling up and down."""
        self.droplet.run([f"{HOME}/scale", SERVICE], cwd=HOME, environment=self._variables(backend))

    def compose(self, backend: str, *arguments: str) -> None:
        """Run ``docker compose`` on the project."""
        self.droplet.run(["docker", "compose", *arguments], cwd=HOME, environment=self._variables(backend))

    def image(self) -> str:
        """The image that the service's container was made from, as it was named."""
        listing = ["docker", "compose", "ps", "--quiet", SERVICE]
        ids = self.droplet.run(listing, cwd=HOME, environment=self._variables("none")).stdout.split()
        if len(ids) != 1:
            raise DropletError(f"{len(ids)} containers of {SERVICE} run, expected one")
        inspect = ["docker", "inspect", "--format={{.Config.Image}}", *ids]
        return self.droplet.run(inspect).stdout.strip()

    def _variables(self, backend: str) -> dict[str, str]:
        return {"EDGE": self._edge, "BOT": backend}

    def _environment(self) -> str:
        """The variables of the backend that is live, for an env_file."""
        colour = self.droplet.get("/var/lib/marketplace/live.map").decode().split()[1]
        inspect = [
            "docker",
            "inspect",
            "--format={{range .Config.Env}}{{println .}}{{end}}",
            f"backend-{colour}",
        ]
        lines = self.droplet.run(inspect).stdout.split("\n")
        kept = [line for line in lines if line and line.partition("=")[0] not in OWN]
        return "\n".join([*kept, "RELEASE=peer", "VERSION=peer", "COLOUR=peer", ""])

    def _serves(self) -> bool:
        url = f"https://{DOMAIN}:{PORT}/version"
        resolve = f"{DOMAIN}:{PORT}:{self.droplet.address()}"
        command = ["curl", "--silent", "--insecure", "--fail", "--max-time", "3", "--resolve", resolve, url]
        return self.droplet.run(command, check=False).ok
