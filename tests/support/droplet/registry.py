"""A registry on a site's network, and how images get into it from the host's engine."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import time

import docker
from docker.models.containers import Container

from . import image as images
from .certificates import Authority
from .errors import DropletError
from .machine import endpoint
from .paths import LABEL

START_TIMEOUT = 30
AUTHORITY = f"{LABEL}.authority"
"""Label: fingerprint of the authority that signed the registry's certificate."""


@dataclasses.dataclass(frozen=True)
class Pushed:
    """An image in a registry, as a droplet refers to it."""

    repository: str
    tag: str
    digest: str

    @property
    def reference(self) -> str:
        """``repository:tag@digest``."""
        return f"{self.repository}:{self.tag}@{self.digest}"


@dataclasses.dataclass(frozen=True)
class Login:
    """Credentials of a private registry."""

    username: str
    password: str


class Registry:
    """docker-registry with TLS, reached as ``https://<host>`` from the site's network."""

    def __init__(
        self, client: docker.DockerClient, container: Container, host: str, login: Login | None = None
    ) -> None:
        self.client = client
        self.container = container
        self.host = host
        self.login = login

    @classmethod
    def start(
        cls,
        client: docker.DockerClient,
        *,
        name: str,
        image: str,
        network: str,
        site: str,
        authority: Authority,
        host: str = "registry.test",
        login: Login | None = None,
    ) -> Registry:
        """Make and start a registry.

        Args:
            client: host engine.
            name: container; its volume is ``<name>-data``.
            image: tag of the registry image.
            network: the site's network.
            site: for the label.
            authority: signs its certificate.
            host: name on the network.
            login: makes it private: nothing is read or written without these credentials.
        """
        api = client.api
        client.volumes.create(f"{name}-data", labels={LABEL: site})
        environment = {}
        if login is not None:
            environment = {
                "REGISTRY_AUTH": "htpasswd",
                "REGISTRY_AUTH_HTPASSWD_REALM": host,
                "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
            }
        made = api.create_container(
            image, name=name, hostname=host, environment=environment,
            labels={LABEL: site, AUTHORITY: authority.fingerprint}, ports=[443],
            host_config=api.create_host_config(
                binds=[f"{name}-data:/var/lib/registry:rw"],
                # Docker takes any certificate on 127.0.0.0/8, so the host's engine needs no setting to push here.
                port_bindings={443: ("127.0.0.1", None)},
                network_mode=network,
                restart_policy={"Name": "unless-stopped"},
            ),
            networking_config=endpoint(client, network, [host]),
        )  # fmt: skip
        container = client.containers.get(made["Id"])
        certificate, key = authority.issue(host)
        files = {"tls/certificate.pem": certificate, "tls/key.pem": key}
        if login is not None:
            files["auth/htpasswd"] = _htpasswd(client, image, login)
        container.put_archive("/", _archive(files))
        container.start()
        registry = cls(client, container, host, login)
        registry.wait()
        return registry

    @property
    def port(self) -> int:
        """The port on the host's 127.0.0.1."""
        self.container.reload()
        return int(self.container.attrs["NetworkSettings"]["Ports"]["443/tcp"][0]["HostPort"])

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            DropletError: not within half a minute.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            # Without -f: 401 from a private one is an answer as well.
            if (
                self.container.exec_run(
                    ["openssl", "s_client", "-connect", "127.0.0.1:443", "-brief"]
                ).exit_code
                == 0
            ):
                return
            time.sleep(0.1)
        raise DropletError(f"{self.container.name} does not answer:\n{self.container.logs(tail=20).decode()}")

    def push(self, image: str, repository: str, tag: str) -> Pushed:
        """Push an image of the host's engine.

        Args:
            image: its local name or id.
            repository: path in this registry (``postgres``).
            tag: there.

        Raises:
            DropletError: the push failed.
        """
        local = f"127.0.0.1:{self.port}/{repository}"
        self.client.images.get(image).tag(local, tag)
        credentials = None
        if self.login is not None:
            credentials = {"username": self.login.username, "password": self.login.password}
        digest = ""
        try:
            for part in self.client.images.push(
                local, tag, stream=True, decode=True, auth_config=credentials
            ):
                if "error" in part:
                    raise DropletError(
                        f"{image} can't be pushed to {self.host}/{repository}:{tag}: {part['error']}"
                    )
                digest = part.get("aux", {}).get("Digest", digest)
        finally:
            self.client.images.remove(f"{local}:{tag}", noprune=True)
        return Pushed(f"{self.host}/{repository}", tag, digest)


def _htpasswd(client: docker.DockerClient, tag: str, login: Login) -> bytes:
    return images.once(client, tag, ["htpasswd", "-Bbn", login.username, login.password])


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
