"""Machines of a site: containers that commands run in and files go into."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from .errors import CommandFailed, DropletError
from .paths import REPOSITORY
from .streams import Line, collect, talk


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
            self.container.id,
            command,
            stdin=stdin is not None,
            environment=dict(environment or {}),
            user=user,
            workdir=cwd,
        )["Id"]
        data = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = collect(talk(api.exec_start(handle, socket=True), data), line)
        code = api.exec_inspect(handle)["ExitCode"]
        return (-1 if code is None else int(code)), out, err, time.monotonic() - started

    def put(
        self, path: str, content: bytes | str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)
    ) -> None:
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
        self.run(
            [
                "find",
                target,
                "-mindepth",
                "1",
                "-maxdepth",
                "1",
                "!",
                "-name",
                "pillar",
                "-exec",
                "rm",
                "-rf",
                "{}",
                "+",
            ]
        )
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
        with contextlib.suppress(NotFound):
            self.container.remove(force=True, v=True)


def endpoint(client: docker.DockerClient, network: str, names: Sequence[str]) -> Any:
    """The networking configuration of a container that stands on ``network`` alone, found there under ``names``."""
    api: Any = client.api  # The stubs have the argument's type wrong.
    return api.create_networking_config({network: api.create_endpoint_config(aliases=list(names))})


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def _git_member(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = info.name.partition("/.git/")[2]
    if name.startswith("hooks") or name.endswith(".lock"):
        return None
    return _as_root(info)
