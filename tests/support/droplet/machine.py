"""Machines of a site: containers with a command line, and droplets (systemd as PID 1, an engine of their own)."""

from __future__ import annotations

import dataclasses
import io
import socket as sockets
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from .errors import CommandFailed, DropletError
from .paths import LABEL, REPOSITORY

MEMORY = 4 << 30
CPUS = 2
BOOT_TIMEOUT = 120

Line = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command inside a machine did: ``returncode``, ``stdout`` and ``stderr`` (text), ``seconds``."""

    argv: list[str]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.returncode == 0


class Machine:
    """A container that commands run in."""

    def __init__(self, client: docker.DockerClient, container: Container) -> None:
        self.client = client
        self.container = container

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.container.name)

    @property
    def running(self) -> bool:
        """Whether the container runs now."""
        self.container.reload()
        return bool(self.container.status == "running")

    def address(self, version: int = 4) -> str:
        """The address on the site's network, IPv4 or IPv6."""
        self.container.reload()
        networks = self.container.attrs["NetworkSettings"]["Networks"].values()
        return str(next(iter(networks))["IPAddress" if version == 4 else "GlobalIPv6Address"])

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        stdin: bytes | str | None = None,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        cwd: str | None = None,
        timeout: float | None = None,
        line: Line | None = None,
    ) -> Result:
        """Run a command and wait for it.

        Args:
            argv: program and arguments; no shell.
            check: raise when the status isn't 0.
            stdin: what it reads; nothing by default.
            environment: added to the container's own.
            user: ``name`` or ``uid:gid``; root by default.
            cwd: working directory.
            timeout: seconds, after which the command is ended (status 124).
            line: called with each line of either stream while it runs.

        Raises:
            CommandFailed: ``check`` and a status other than 0.
        """
        code, out, err, seconds = self._execute(argv, stdin, environment, user, cwd, timeout, line)
        result = Result(list(argv), code, out.decode(errors="replace"), err.decode(errors="replace"), seconds)
        if check and not result.ok:
            raise CommandFailed(self.name, result.argv, result.returncode, result.stdout, result.stderr)
        return result

    def _execute(
        self,
        argv: Sequence[str],
        stdin: bytes | str | None = None,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        cwd: str | None = None,
        timeout: float | None = None,
        line: Line | None = None,
    ) -> tuple[int, bytes, bytes, float]:
        command = list(argv)
        if timeout is not None:
            command = ["timeout", "--kill-after=5", f"{timeout:g}", *command]
        started = time.monotonic()
        api = self.client.api
        handle = api.exec_create(
            self.container.id, command, stdin=stdin is not None, environment=dict(environment or {}), user=user, workdir=cwd
        )["Id"]
        if stdin is None:
            chunks = api.exec_start(handle, stream=True, demux=True)
        else:
            chunks = _talk(api.exec_start(handle, socket=True), stdin.encode() if isinstance(stdin, str) else stdin)
        out, err = _collect(chunks, line)
        code = api.exec_inspect(handle)["ExitCode"]
        return (-1 if code is None else int(code)), out, err, time.monotonic() - started

    def put(self, path: str, content: bytes | str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
        """Write a file (its directory is made when missing)."""
        data = content.encode() if isinstance(content, str) else content
        info = tarfile.TarInfo(path.lstrip("/"))
        info.size, info.mode, (info.uid, info.gid) = len(data), mode, owner
        info.mtime = int(time.time())
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(info, io.BytesIO(data))
        self._unpack(buffer.getvalue())

    def get(self, path: str) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: there is none, or it can't be read.
        """
        code, out, err, _ = self._execute(["cat", "--", path])
        if code:
            raise FileNotFoundError(f"{self.name}:{path}: {err.decode(errors='replace').strip()}")
        return out

    def _unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root; from within when it runs, because Docker sees no mount made inside."""
        if self.running:
            self.run(["tar", "-x", "-p", "-C", "/", "--same-owner"], stdin=archive)
        else:
            self.container.put_archive("/", archive)

    def put_tree(self, target: str = "/srv/deploy", source: Path = REPOSITORY) -> None:
        """Copy a checkout: its files that git tracks or would track, and its ``.git``."""
        listed = subprocess.run(
            ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name in sorted(set(listed.split("\0")) - {""}):
                if (source / name).is_symlink() or (source / name).exists():
                    archive.add(source / name, f"{target.lstrip('/')}/{name}", filter=_as_root)
            if (source / ".git").is_dir():
                archive.add(source / ".git", f"{target.lstrip('/')}/.git", filter=_git_member)
        self.run(["mkdir", "-p", target])
        self.run(["find", target, "-mindepth", "1", "-maxdepth", "1", "!", "-name", "pillar", "-exec", "rm", "-rf", "{}", "+"])
        self.run(["find", f"{target}/pillar", "-mindepth", "1", "-maxdepth", "1", "!", "-name", "local",
                  "-exec", "rm", "-rf", "{}", "+"], check=False)  # fmt: skip
        self._unpack(buffer.getvalue())

    def wait_healthy(self, timeout: float = 60) -> None:
        """Wait until the container's own health check is content.

        Raises:
            DropletError: it isn't in time; with the container's last lines.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.container.reload()
            if self.container.attrs["State"].get("Health", {}).get("Status") == "healthy":
                return
            time.sleep(0.1)
        raise DropletError(f"{self.name} is not healthy:\n{self.container.logs(tail=20).decode()}")

    def kill(self) -> None:
        """Pull the plug."""
        self.container.kill()
        self.container.wait()

    def destroy(self) -> None:
        """Remove the container and its anonymous volumes; harmless when it is gone."""
        try:
            self.container.remove(force=True, v=True)
        except NotFound:
            pass


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
        binds: Mapping[str, str] | None = None,
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
            binds: host path or volume -> path inside, writable.
        """
        api = client.api
        # A volume for all of /var: an overlay of an overlay is refused (/var/lib/docker), and so is swap on one.
        client.volumes.create(f"{name}-var", labels={LABEL: site})
        volumes = {f"{name}-var": "/var", **(binds or {})}
        host = api.create_host_config(
            binds=[f"{source}:{target}:rw" for source, target in volumes.items()],
            cap_add=["ALL"],
            # SYS_RESOURCE: not every host has it to give. SYS_MODULE: a droplet has no business in the host's kernel.
            cap_drop=["SYS_RESOURCE", "SYS_MODULE"],
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
        made = api.create_container(
            image, name=name, hostname=hostname, environment={"container": "docker"},
            labels={LABEL: site}, stop_signal="SIGRTMIN+3", host_config=host,
            networking_config=api.create_networking_config(
                {network: api.create_endpoint_config(aliases=[hostname, *aliases])}
            ),
        )  # fmt: skip
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
                raise DropletError(f"{self.name} stopped while booting:\n{self.container.logs(tail=20).decode()}")
            # --wait holds until start-up is over; before systemd listens, the command fails at once.
            state = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=timeout).stdout.strip()
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

    def destroy(self) -> None:
        """Remove the droplet with its volume, its swap and its loop devices; harmless when it is gone."""
        self._swap_off()
        super().destroy()
        try:
            self.client.volumes.get(f"{self.name}-var").remove(force=True)
        except NotFound:
            pass

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


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def _git_member(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = info.name.partition("/.git/")[2]
    if name.startswith("hooks") or name.endswith(".lock"):
        return None
    return _as_root(info)


def _talk(stream: Any, data: bytes) -> Any:
    """Send ``data`` to an attached exec and yield what it answers, split into (stdout, stderr)."""
    raw: sockets.socket = getattr(stream, "_sock", stream)
    raw.settimeout(None)
    try:
        raw.sendall(data)
        raw.shutdown(sockets.SHUT_WR)
        while header := _read(raw, 8):
            kind, size = struct.unpack(">BxxxL", header)
            part = _read(raw, size)
            yield (part, None) if kind == 1 else (None, part)
    finally:
        stream.close()


def _read(raw: sockets.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = raw.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data


def _collect(chunks: Any, line: Line | None) -> tuple[bytes, bytes]:
    whole: tuple[list[bytes], list[bytes]] = ([], [])
    pending = [b"", b""]
    for pair in chunks:
        for index, part in enumerate(pair):
            if not part:
                continue
            whole[index].append(part)
            if line is not None:
                *done, pending[index] = (pending[index] + part).split(b"\n")
                for text in done:
                    line(text.decode(errors="replace"))
    if line is not None:
        for rest in filter(None, pending):
            line(rest.decode(errors="replace"))
    return b"".join(whole[0]), b"".join(whole[1])
