"""An object store on a site's network: it speaks S3, and has the trouble that a test orders."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import docker
from docker.models.containers import Container

from .errors import DropletError
from .machine import Machine

ROLE = "storage"
S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Storage(Machine):
    """The store's host. What a test does through this class is done whatever trouble was ordered, but for `stop`."""

    HOST = "storage.test"
    PORT = 9000
    ENDPOINT = f"http://{HOST}:{PORT}"
    ACCESS_KEY = "AKIASTANDINSTANDIN00"

    def __init__(self, client: docker.DockerClient, container: Container, network: str, secret: str) -> None:
        super().__init__(client, container)
        self.network = network
        self.secret = secret

    def bucket(self, name: str) -> None:
        """Make a bucket; harmless when it is there."""
        self._ask("PUT", f"/{quote(name)}")

    def objects(self, bucket: str, prefix: str = "") -> dict[str, int]:
        """Key -> size of what a bucket holds."""
        query = {"list-type": "2", "prefix": prefix}
        found: dict[str, int] = {}
        while True:
            answer = self._ask("GET", f"/{quote(bucket)}?{urlencode(query)}")
            page = ElementTree.fromstring(answer)  # noqa: S314 - the stand-in's own
            for entry in page.iter(f"{S3}Contents"):
                found[entry.findtext(f"{S3}Key", "")] = int(entry.findtext(f"{S3}Size", ""))
            more = page.findtext(f"{S3}NextContinuationToken")
            if not more:
                return found
            query["continuation-token"] = more

    def content(self, bucket: str, key: str) -> bytes:
        """What an object holds."""
        return self._ask("GET", f"/{quote(bucket)}/{quote(key)}")

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; harmless when there is none."""
        self._ask("DELETE", f"/{quote(bucket)}/{quote(key)}")

    def mode(self, name: str, **options: Any) -> None:
        """How it answers everybody else from now on.

        Args:
            name: ``ok``; ``refuse``: everything is denied; ``slow``: every answer waits; ``full``: what would store
                something fails.
            options: ``seconds`` of ``slow`` (5), ``status`` of ``full`` (507, or 503).
        """
        self._ask("POST", "/_control", json.dumps({"mode": name, **options}).encode())

    def stop(self) -> None:
        """It is out of reach, and its name unknown, until ``start``. It keeps what it holds: it is only unplugged."""
        if self._plugged():
            self.client.networks.get(self.network).disconnect(self.container)

    def start(self) -> Storage:
        """Within reach again, perhaps at another address; harmless when it was."""
        if not self._plugged():
            self.client.networks.get(self.network).connect(self.container, aliases=[ROLE, self.HOST])
        self.wait_healthy()
        return self

    def _plugged(self) -> bool:
        self.container.reload()
        return self.network in self.container.attrs["NetworkSettings"]["Networks"]

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """What the stand-in answers to a test's own request.

        Raises:
            DropletError: it is stopped, or refuses; with its own words.
        """
        if not self._plugged():
            raise DropletError(f"{self.name} is out of reach: start() it first")
        request = urllib.request.Request(
            f"http://{self.address()}:{self.PORT}{path}", body, {"X-Control": "yes"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise DropletError(f"{self.name} answers {method} {path} with {error.code}: {said}") from error
