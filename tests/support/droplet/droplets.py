"""Droplets: containers with systemd as PID 1 and an engine of their own."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import docker
from docker.errors import APIError, NotFound

from .errors import DropletError
from .machine import Machine, endpoint
from .paths import LABEL

MEMORY = 4 << 30
CPUS = 2
BOOT_TIMEOUT = 120
UNWANTED = ("SYS_RESOURCE", "SYS_MODULE")
"""Capabilities that a droplet goes without: not every host has the first, and the second is the host's own business."""


class Droplet(Machine):
    """A local droplet: Debian 13 with systemd as PID 1 and its own Docker engine; 4 GB and 2 CPUs."""

    @classmethod
    def create(
        cls,
        client: docker.DockerClient,
        name: str,
        image: str,
        network: str,
        *,
        site: str,
        hostname: str,
        aliases: Sequence[str] = (),
        memory: int = MEMORY,
        cpus: float = CPUS,
    ) -> Droplet:
        """Make a droplet, not booted.

        Args:
            client: host engine.
            name: of the container; its volume is ``<name>-var``.
            image: tag of the droplet image.
            network: name of the site's network.
            site: for the label.
            hostname: inside.
            aliases: more names under which others on the network find it.
            memory: bytes, swap included.
            cpus: share of CPU time, in CPUs.
        """
        api = client.api
        # A volume for all of /var: an overlay of an overlay is refused (/var/lib/docker), and so is swap on one.
        client.volumes.create(f"{name}-var", labels={LABEL: site})
        host = api.create_host_config(
            binds=[f"{name}-var:/var:rw"],
            cap_add=["ALL"],
            cap_drop=list(UNWANTED),
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            device_cgroup_rules=["a *:* rwm"],
            tmpfs={"/run": "", "/run/lock": ""},
            mem_limit=memory,
            memswap_limit=memory,
            nano_cpus=int(cpus * 1e9),
            network_mode=network,
        )
        # A control group namespace of its own keeps inner containers inside the droplet's limits.
        host.update(MaskedPaths=[], ReadonlyPaths=[], CgroupnsMode="private")
        while True:
            try:
                made = api.create_container(
                    image, name=name, hostname=hostname, environment={"container": "docker"},
                    labels={LABEL: site}, stop_signal="SIGRTMIN+3", host_config=host,
                    networking_config=endpoint(client, network, [hostname, *aliases]),
                )  # fmt: skip
                break
            except APIError as error:
                # Newer engines refuse to drop what the host doesn't have; older ones refuse to run without dropping it.
                absent = [name for name in host["CapDrop"] if f"CAP_{name}" in str(error)]
                if "CapDrop" not in str(error) or not absent:
                    raise
                host["CapDrop"] = [name for name in host["CapDrop"] if name not in absent]
        return cls(client, client.containers.get(made["Id"]))

    def boot(self, timeout: float = BOOT_TIMEOUT) -> float:
        """Start it and wait until systemd says that start-up is over. Returns seconds.

        Raises:
            DropletError: it isn't over in time, or a unit failed.
        """
        started = time.monotonic()
        self.container.start()
        self.wait_booted(timeout)
        return time.monotonic() - started

    def wait_booted(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until systemd has finished starting up, without a failed unit."""
        deadline = time.monotonic() + timeout
        state = ""
        while time.monotonic() < deadline:
            if not self.running:
                raise DropletError(
                    f"{self.name} stopped while booting:\n{self.container.logs(tail=20).decode()}"
                )
            # --wait holds until start-up is over; before systemd listens, the command fails at once.
            state = self.run(
                ["systemctl", "is-system-running", "--wait"], check=False, timeout=timeout
            ).stdout.strip()
            if state in ("running", "degraded"):
                break
            time.sleep(0.1)
        if state != "running":
            failed = self.run(["systemctl", "--no-pager", "--failed"], check=False).stdout
            raise DropletError(f"{self.name}: systemd is {state or 'not there'} after booting\n{failed}")

    def reboot(self, timeout: float = BOOT_TIMEOUT) -> float:
        """Shut down in order and boot again. Returns seconds."""
        started = time.monotonic()
        self.container.restart(timeout=int(timeout))
        self.wait_booted(timeout)
        return time.monotonic() - started

    def shutdown(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Shut down in order and stay off."""
        self.container.stop(timeout=int(timeout))

    def parts(self) -> dict[str, Path]:
        """Where this machine keeps the droplet's files: what its image does not have (``root``), and ``var``.

        Raises:
            DropletError: the engine has another storage driver than overlay2.
        """
        self.container.reload()
        graph = self.container.attrs.get("GraphDriver") or {}
        if graph.get("Name") != "overlay2":
            raise DropletError(
                f"this needs an engine with the storage driver overlay2, not {graph.get('Name')}"
            )
        volume = self.client.volumes.get(f"{self.name}-var")
        return {"root": Path(graph["Data"]["UpperDir"]), "var": Path(volume.attrs["Mountpoint"])}

    def confine(self, size: int) -> None:
        """Give the droplet a disk of its own, of ``size`` bytes, before it boots; it has all of this machine's without.

        It goes with the droplet. Memory and processors are limited as ever.
        """
        parts = self.parts()
        with tempfile.TemporaryDirectory() as place:
            image, disk = Path(place) / "disk", Path(place) / "mounted"
            disk.mkdir()
            with image.open("wb") as file:
                file.truncate(size)
            _host("mkfs.ext4", "-q", "-m", "0", str(image))
            _host("mount", "-o", "loop", str(image), str(disk))
            try:
                # The overlay's own directory: what is written to the root and what the kernel works with are one disk.
                for name, path in (("root", parts["root"].parent), ("var", parts["var"])):
                    _host("cp", "--archive", str(path), str(disk / name))
                    _host("mount", "--bind", str(disk / name), str(path))
            finally:
                # What is bound keeps the disk, and nothing else does: it is gone when that is unmounted.
                _host("umount", str(disk))

    def destroy(self) -> None:
        """Remove the droplet with its volume, its swap, its disk and its loop devices; harmless when it is gone."""
        self._swap_off()
        self._disk_off()
        super().destroy()
        with contextlib.suppress(NotFound):
            self.client.volumes.get(f"{self.name}-var").remove(force=True)

    def _swap_off(self) -> None:
        """Swap is the kernel's, not the container's: what the droplet turned on outlives it."""
        try:
            root = self.client.volumes.get(f"{self.name}-var").attrs["Mountpoint"]
        except NotFound:
            return
        for line in Path("/proc/swaps").read_text().splitlines()[1:]:
            # The kernel shows the path inside the droplet, and that of every other droplet's swap as well:
            # the file in our own volume is ours, and swapoff refuses it when it isn't the one in use.
            file = Path(root) / line.split()[0].removeprefix("/var/")
            if file.is_file():
                subprocess.run(["swapoff", str(file)], check=False, capture_output=True)

    def _disk_off(self) -> None:
        """Only a droplet that is off lets go of its disk, and only without that can its container be removed."""
        with contextlib.suppress(NotFound, DropletError):
            parts = self.parts()
            own = [path for path in (parts["root"].parent, parts["var"]) if path.is_mount()]
            if own and self.running:
                self.kill()
            for path in own:
                _host("umount", str(path))


def _host(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DropletError(f"{' '.join(argv)}: {done.stderr.strip()}")
