"""An ACME authority on a site's network: pebble, which signs for whoever answers its question on port 80."""

from __future__ import annotations

import docker

from .certificates import Authority
from .machine import Machine

HOST = "acme.test"
DIRECTORY = f"https://{HOST}/dir"
LIMITED = f"https://{HOST}:444/dir"
"""Where every request is told that the rate limit is reached."""


class Acme(Machine):
    """The authority's host. Its own HTTPS certificate is the site's; those that it signs have a root of its own."""

    def __init__(
        self, client: docker.DockerClient, container: docker.models.containers.Container, site: Authority
    ) -> None:
        super().__init__(client, container)
        self.site = site

    def serve(self) -> Acme:
        """Give it its certificate, where it has none, and wait until it answers."""
        if self.run(["test", "-s", "/tls/key.pem"], check=False).returncode:
            certificate, key = self.site.issue(HOST)
            self.put("/tls/certificate.pem", certificate)
            self.put("/tls/key.pem", key)
        ask = ["curl", "--silent", "--insecure", "--retry", "50", "--retry-delay", "1", "--retry-connrefused"]
        self.run([*ask, "https://127.0.0.1/dir"])
        return self

    def root(self) -> str:
        """The root certificate (PEM) of what it signs; another one each time it starts."""
        return self.run(["curl", "--silent", "--insecure", "https://127.0.0.1:15000/roots/0"]).stdout

    def stop(self) -> None:
        """It is out of reach until ``start``."""
        self.container.stop(timeout=1)

    def start(self) -> None:
        self.container.start()
        self.serve()
