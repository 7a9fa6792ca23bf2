"""A site: a network with a registry, the Bot API stand-in and droplets. Sites side by side don't know of each other."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from tests.support.botapi.client import BotApi

from . import host, image, kernel, keys
from .acme import HOST as ACME
from .acme import Acme
from .certificates import Authority
from .droplets import MEMORY, Droplet
from .errors import DropletError
from .machine import Machine, endpoint
from .paths import IMAGE, LABEL, REPOSITORY, locked, site_dir
from .provider import CACHE_HOST, DATABASE_HOST, Provider, cache_command, database_command
from .registry import AUTHORITY, Login, Pushed, Registry
from .storage import ROLE as STORAGE_ROLE
from .storage import Storage

SUBNETS = ipaddress.ip_network("172.29.0.0/16")
SUBNETS6 = ipaddress.ip_network("fd6d:6b74::/48")
DOMAIN = "bot.test"
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
BACKEND = REPOSITORY / "examples" / "marketplace"
BOTAPI = REPOSITORY / "tests" / "support" / "botapi"
BOTAPI_PORT = 8081
STORAGE = REPOSITORY / "tests" / "support" / "storage"
TRUSTED = "/usr/local/share/ca-certificates/local-droplet.crt"

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Images:
    """The pinned images that a droplet's pillar names."""

    postgres: Pushed
    redis: Pushed
    backend: Pushed


class Site:
    """A named network and what stands on it. Every part is made when it is first asked for and found again later."""

    def __init__(self, name: str, client: docker.DockerClient | None = None, say: Say = print) -> None:
        if not NAME.fullmatch(name):
            raise DropletError(
                f"'{name}' is no name for a site: lower-case letters, digits and dashes, for example 'anna'"
            )
        self.name = name
        self.say = say
        self.client = client or host.ensure(say)
        self.prefix = f"marketplace-{name}"

    # The network

    @property
    def network(self) -> str:
        """The network's name; it exists after this call."""
        with locked("network"):
            try:
                self.client.networks.get(self.prefix)
            except NotFound:
                self._make_network()
        return self.prefix

    def _make_network(self) -> None:
        taken: list[Any] = [ipaddress.ip_network(subnet) for subnet in _subnets(self.client)]
        pairs = zip(SUBNETS.subnets(new_prefix=24), SUBNETS6.subnets(new_prefix=64), strict=False)
        for four, six in pairs:
            if any(net.overlaps(four) if net.version == 4 else net.overlaps(six) for net in taken):
                continue
            pools = [IPAMPool(subnet=str(four)), IPAMPool(subnet=str(six))]
            with contextlib.suppress(
                APIError
            ):  # A route that Docker doesn't show may be in the way: the next one.
                self.client.networks.create(
                    self.prefix, driver="bridge", enable_ipv6=True, labels={LABEL: self.name},
                    ipam=IPAMConfig(pool_configs=pools),
                )  # fmt: skip
                return
        raise DropletError(f"no free subnet left in {SUBNETS}: throw away sites with 'make clean'")

    @property
    def subnets(self) -> list[str]:
        """The network's subnets, IPv4 first."""
        found = self.client.networks.get(self.network).attrs["IPAM"]["Config"]
        return [str(part["Subnet"]) for part in found]

    # The certificate authority that the site's own servers use

    @property
    def authority(self) -> Authority:
        """The authority that the site's droplets trust."""
        return Authority.at(site_dir(self.name), f"Local droplet {self.name}")

    # Machines

    def _container(self, role: str) -> Any | None:
        try:
            return self.client.containers.get(f"{self.prefix}-{role}")
        except NotFound:
            return None

    def registry(self, role: str = "registry", login: Login | None = None) -> Registry:
        """The registry ``<role>.test``, running.

        Args:
            role: also its name; give another one for a second registry.
            login: makes a new one private.
        """
        name = f"{self.prefix}-{role}"
        container = self._container(role)
        if container is not None and container.labels.get(AUTHORITY) != self.authority.fingerprint:
            container.remove(
                force=True
            )  # Its certificate is another authority's: the state directory was lost.
            container = None
        if container is not None:
            container.start()
            registry = Registry(self.client, container, f"{role}.test", login)
            registry.wait()
            return registry
        return Registry.start(
            self.client, name=name, image=image.build(self.client, "registry", self.say), network=self.network,
            site=self.name, authority=self.authority, host=f"{role}.test", login=login,
        )  # fmt: skip

    def images(self) -> Images:
        """PostgreSQL, Redis and version 1.0.0 of the backend in the site's registry."""
        needed = ("registry", "postgres", "redis", "python", "droplet")
        image.build_all(self.client, needed, self.say)
        registry = self.registry()
        postgres = image.build(self.client, "postgres", self.say)
        redis = image.build(self.client, "redis", self.say)
        return Images(
            postgres=registry.push(postgres, "postgres", image.version(self.client, postgres, "postgres")),
            redis=registry.push(redis, "redis", image.version(self.client, redis, "redis-server")),
            backend=self.backend("1.0.0"),
        )

    def minor(self, name: str, of: Pushed, works: bool = True) -> Pushed:
        """Another digest of ``postgres`` or ``redis``, as a minor version has. Without ``works`` it never starts."""
        word, lines = ("next", []) if works else ("broken", ['ENTRYPOINT ["false"]'])
        tag = image.variant(self.client, image.build(self.client, name, self.say), word, *lines)
        return self.registry().push(tag, name, f"{of.tag}-{word}")

    def backend(self, version: str, foreign: bool = False, **arguments: str) -> Pushed:
        """Build a version of the example backend and push it to the site's registry.

        Args:
            version: its tag and label.
            foreign: make it one for another processor, that does not start here.
            arguments: more build arguments: ``VARIANT``, ``WORKER`` and others of its Dockerfile.
        """
        tag = image.build_app(self.client, "backend", BACKEND, self.say, VERSION=version, **arguments)
        if foreign:
            tag = image.foreign(self.client, tag)
        return self.registry().push(tag, "marketplace", version)

    def botapi(self) -> Machine:
        """The Bot API stand-in, answering as http://botapi.test:8081 on the network."""
        tag = image.build_app(self.client, "botapi", BOTAPI, self.say)
        made = self.machine("botapi", tag, ["botapi.test"], [])
        made.wait_healthy()
        return made

    def telegram(self, token: str = "") -> BotApi:
        """The stand-in's control, from the host: what users write and what the bot (the site's own) answers."""
        container = self._container("botapi")
        machine = self.botapi() if container is None else Machine(self.client, container)
        return BotApi(f"http://{machine.address()}:{BOTAPI_PORT}", token or self.token)

    def alerts(self) -> BotApi:
        """The bot that tells operators, from the host: what has arrived in their chat, in order and with times."""
        container = self._container("botapi")
        machine = self.botapi() if container is None else Machine(self.client, container)
        bot = BotApi(f"http://{machine.address()}:{BOTAPI_PORT}", self.alerts_token)
        bot.call("getMe")  # The stand-in knows a bot that has called.
        return bot

    @property
    def alerts_token(self) -> str:
        """The token of the bot that tells operators."""
        return self._kept("alerts-token", f"7000000002:{secrets.token_urlsafe(27)}")

    @property
    def token(self) -> str:
        """The site's bot token: random, and the same at every call."""
        return self._kept("telegram-token", f"7000000001:{secrets.token_urlsafe(27)}")

    def _kept(self, file_name: str, fresh: str) -> str:
        """A secret of the site: ``fresh`` at the first call, and the same ever after."""
        file = site_dir(self.name) / file_name
        if not file.exists():
            file.touch(0o600)
            file.write_text(fresh)
        return file.read_text()

    def acme(self) -> Acme:
        """An ACME authority, answering as https://acme.test on the network."""
        made = self.machine("acme", image.build(self.client, "acme", self.say), [ACME], [])
        return Acme(self.client, made.container, self.authority).serve()

    def storage(self) -> Storage:
        """An object store that speaks S3, answering as http://storage.test:9000 on the network."""
        tag = image.build_app(self.client, "storage", STORAGE, self.say)
        made = self.machine(STORAGE_ROLE, tag, [Storage.HOST], ["--access-key", Storage.ACCESS_KEY])
        secret = self._kept("storage-secret", secrets.token_urlsafe(30))
        return Storage(self.client, made.container, self.network, secret).start()

    def provider(self) -> Provider:
        """A managed provider: PostgreSQL as db.test:25060 and Redis as cache.test:25061 on the network."""
        secret = self._kept("provider-secret", f"AVNS_{secrets.token_urlsafe(18)}")
        tags = [image.build(self.client, name, self.say) for name in ("postgres", "redis")]
        database = self.machine("db", tags[0], [DATABASE_HOST], database_command(secret))
        cache = self.machine("cache", tags[1], [CACHE_HOST], cache_command(secret))
        directory = site_dir(self.name) / "provider"
        directory.mkdir(exist_ok=True)
        authority = Authority.at(directory, f"Provider of {self.name}")
        return Provider(self.network, database, cache, authority, secret).serve()

    def neighbour(self, role: str = "neighbour") -> Machine:
        """Another host on the droplets' network, with python3, ip and nmap, to look at a droplet from outside."""
        return self.machine(role, image.build(self.client, "neighbour", self.say), [], ["sleep", "infinity"])

    def controller(self) -> Machine:
        """A laptop to converge droplets from by salt-ssh: python3 with venv, no Docker, no tree yet."""
        return self.machine(
            "controller", image.build(self.client, "python", self.say), [], ["sleep", "infinity"]
        )

    def machine(self, role: str, tag: str, aliases: list[str], command: list[str]) -> Machine:
        """A plain container of the site, running; made from image ``tag`` when there is none of that image."""
        container = self._container(role)
        if container is not None and container.attrs["Image"] != self.client.images.get(tag).id:
            container.remove(force=True, v=True)
            container = None
        if container is None:
            api = self.client.api
            made = api.create_container(
                tag, command or None, name=f"{self.prefix}-{role}", hostname=role, labels={LABEL: self.name},
                host_config=api.create_host_config(
                    network_mode=self.network, init=True, restart_policy={"Name": "unless-stopped"},
                    # A real one is elsewhere, and takes none of the droplet's processors.
                    cpu_shares=64 if role == STORAGE_ROLE else None,
                    cap_add=["NET_ADMIN", "NET_RAW"] if role == "neighbour" else [],
                ),
                networking_config=endpoint(self.client, self.network, [role, *aliases]),
            )  # fmt: skip
            container = self.client.containers.get(made["Id"])
        container.start()
        return Machine(self.client, container)

    # Droplets

    def droplet(
        self, role: str = "droplet", memory: int = MEMORY, user_data: str = "", name: str = "", disk: int = 0
    ) -> Droplet:
        """A droplet, booted; a fresh one when there is none of that role.

        Args:
            role: its hostname; others on the network find ``droplet`` as bot.test, and any other as ``<role>.test``.
            memory: bytes, of a fresh one.
            user_data: what cloud-init gets at the first boot of a fresh one; nothing: no cloud-init.
            name: its hostname where that is not its role.
            disk: bytes, of a fresh one; 0: it has all of this machine's.
        """
        found = self.find_droplet(role)
        droplet = found or Droplet.create(
            self.client, self.droplet_name(role),
            image.build(self.client, "cloud" if user_data else "droplet", self.say), self.network,
            site=self.name, hostname=name or role, aliases=[DOMAIN if role == "droplet" else f"{role}.test"],
            memory=memory,
        )  # fmt: skip
        if disk and found is None:
            droplet.confine(disk)
        if user_data and not droplet.running:
            # As the provider's metadata service would.
            droplet.put("/var/lib/cloud/seed/nocloud/user-data", user_data)
            droplet.put("/var/lib/cloud/seed/nocloud/meta-data", f"instance-id: {droplet.name}\n")
        kernel.shield_at_boot(droplet)
        if not droplet.running:
            droplet.boot()
        kernel.shield(droplet)
        self.trust(droplet)
        keys.authorise(droplet, site_dir(self.name))
        return droplet

    def droplet_name(self, role: str) -> str:
        """The container's name. The demo's droplet is called what people look for."""
        return "marketplace-droplet" if (self.name, role) == ("demo", "droplet") else f"{self.prefix}-{role}"

    def find_droplet(self, role: str = "droplet") -> Droplet | None:
        """The droplet of that role, in whatever state, or None."""
        try:
            return Droplet(self.client, self.client.containers.get(self.droplet_name(role)))
        except NotFound:
            return None

    def trust(self, machine: Machine) -> None:
        """Make a machine trust the site's authority, as one does with a company's own."""
        with contextlib.suppress(FileNotFoundError):
            if machine.get(TRUSTED) == self.authority.certificate:
                return
        machine.put(TRUSTED, self.authority.certificate)
        machine.run(["update-ca-certificates"])

    # The end

    def destroy(self) -> None:
        """Remove everything that the site made; harmless when there is nothing."""
        mine: Any = {"filters": {"label": f"{LABEL}={self.name}"}}
        for container in self.client.containers.list(all=True, ignore_removed=True, **mine):
            Droplet(self.client, container).destroy()
        for volume in self.client.volumes.list(**mine):
            volume.remove(force=True)
        for network in self.client.networks.list(**mine):
            network.remove()
        shutil.rmtree(site_dir(self.name), ignore_errors=True)


def names(client: docker.DockerClient) -> list[str]:
    """The names of all sites that have something on the engine."""
    query: Any = {"filters": {"label": LABEL}}
    found = {part.attrs.get("Labels", {}).get(LABEL) for part in client.networks.list(**query)}
    found |= {part.attrs["Labels"].get(LABEL) for part in client.volumes.list(**query)}
    found |= {
        part.labels.get(LABEL) for part in client.containers.list(all=True, ignore_removed=True, **query)
    }
    return sorted(name for name in found - {IMAGE} if name)


def _subnets(client: docker.DockerClient) -> Iterator[str]:
    """What is taken: Docker's networks, and what this machine has routes to."""
    for network in client.networks.list():
        for part in (network.attrs.get("IPAM") or {}).get("Config") or []:
            if part.get("Subnet"):
                yield part["Subnet"]
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[column]), "little") for column in (1, 7))
        if mask:
            yield f"{ipaddress.ip_address(address)}/{ipaddress.ip_address(mask)}"
