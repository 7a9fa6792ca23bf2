"""The machine that carries local droplets: Docker, mmdebstrap and a few tools, installed and started on demand."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
from docker.errors import DockerException

from .errors import DropletError
from .paths import locked, state_dir

TOOLS = {
    "dockerd": "docker.io",
    "docker": "docker-cli",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "iptables": "iptables",
}
"""Program that must be on PATH -> Debian package that brings it."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
START_TIMEOUT = 60
STOP_TIMEOUT = 60


def connect() -> docker.DockerClient:
    """A client on Docker's default socket.

    Raises:
        DropletError: no engine answers; call :func:`ensure` to start one.
    """
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException as error:
        raise DropletError(
            f"no Docker engine answers on the default socket ({error}); run 'make demo', which starts one"
        ) from error
    return client


def ensure(say: Callable[[str], None] = print) -> docker.DockerClient:
    """Make sure an engine and the tools are there; install and start what is missing (root, Debian or Ubuntu).

    Args:
        say: receives one line for each thing that is done.

    Raises:
        DropletError: not root, no apt, or the engine doesn't start.
    """
    with locked("host"):
        answers = _answers()
        missing = [tool for tool in TOOLS if shutil.which(tool, path=_path()) is None]
        if answers:  # An engine is there, wherever it came from: leave its packages alone.
            missing = [tool for tool in missing if tool not in ("dockerd", "iptables")]
        packages = {TOOLS[tool] for tool in missing}
        if not KEYRING.exists():
            packages.add("debian-archive-keyring")
        if missing or not answers or "debian-archive-keyring" in packages:
            _require_root()
        if packages:
            _install(sorted(packages), say)
        if not answers:
            if _answers():  # The package's own script started it: it is ours to stop all the same.
                _adopt()
            else:
                _start(say)
    return connect()


def ensure_tools(packages: Mapping[str, str]) -> None:
    """Make sure that programs are there; install what is missing (root, Debian or Ubuntu).

    Args:
        packages: by program, the package that it is in.

    Raises:
        DropletError: not root, or no apt.
    """
    with locked("host"):
        missing = {package for tool, package in packages.items() if shutil.which(tool, path=_path()) is None}
        if missing:
            _require_root()
            _install(sorted(missing), lambda _: None)


def _path() -> str:
    """PATH with the directories of system programs, which a user's PATH may lack."""
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def _answers() -> bool:
    try:
        connect().close()
    except DropletError:
        return False
    return True


def _require_root() -> None:
    if os.geteuid() != 0:
        raise DropletError("installing and starting Docker needs root: run it as root (sudo make demo)")


def _install(packages: list[str], say: Callable[[str], None]) -> None:
    if shutil.which("apt-get") is None:
        raise DropletError(
            f"{', '.join(packages)} missing and there is no apt-get: install them by hand, then try again"
        )
    say(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ["apt-get", "-q", "update"],
        [
            "apt-get",
            "-q",
            "-y",
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "--no-install-recommends",
            *_known(packages),
        ],
    ):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise DropletError(f"{' '.join(argv)} failed; install {', '.join(packages)} by hand\n{tail}")


def _known(packages: list[str]) -> list[str]:
    """Drop docker-cli where the distribution has the client in docker.io (Debian 12, Ubuntu)."""
    if "docker-cli" not in packages:
        return packages
    shown = subprocess.run(["apt-cache", "show", "docker-cli"], capture_output=True, text=True, check=False)
    if "Package: docker-cli" in shown.stdout:
        return packages
    return sorted({*packages, "docker.io"} - {"docker-cli"})


@dataclasses.dataclass(frozen=True)
class Engine:
    """A dockerd that this package started: process id, and kernel start time so that a reused id is never hit."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Engine | None:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else cls(pid, fields[19])


def _record() -> Path:
    return state_dir() / "dockerd.json"


def started_by_us() -> Engine | None:
    """The engine that this package started and that still runs, or None."""
    try:
        engine = Engine(**json.loads(_record().read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return engine if Engine.of(engine.pid) == engine else None


def _adopt() -> None:
    if Path("/run/systemd/system").is_dir():
        return
    with contextlib.suppress(OSError, ValueError):
        _remember(int(Path("/var/run/docker.pid").read_text()))


def _remember(pid: int) -> None:
    engine = Engine.of(pid)
    if engine is not None:
        _record().write_text(json.dumps(dataclasses.asdict(engine)))


def _start(say: Callable[[str], None]) -> None:
    if Path("/run/systemd/system").is_dir():
        say("starting docker.service")
        subprocess.run(["systemctl", "start", "docker.service"], check=False)
        _wait_for_engine("journalctl -u docker")
        return
    log = state_dir() / "dockerd.log"
    say(f"starting dockerd (log: {log})")
    program = shutil.which("dockerd", path=_path())
    if program is None:
        raise DropletError(
            "dockerd is not on PATH even after installing it: install the Docker engine by hand"
        )
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PATH": _path()},
        )
    _remember(process.pid)
    _wait_for_engine(str(log), process)


def _wait_for_engine(log: str, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers():
        if process is not None and process.poll() is not None:
            raise DropletError(f"dockerd stopped with status {process.returncode}: see {log}")
        if time.monotonic() > deadline:
            raise DropletError(f"no Docker engine after {START_TIMEOUT} s: see {log}")
        time.sleep(0.2)


def stop() -> bool:
    """Stop the engine, if this package started it. Returns whether it did.

    Raises:
        DropletError: it doesn't stop within a minute.
    """
    engine = started_by_us()
    if engine is None:
        return False
    os.kill(engine.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while Engine.of(engine.pid) == engine:
        if time.monotonic() > deadline:
            raise DropletError(
                f"dockerd (process {engine.pid}) does not stop: look at {state_dir() / 'dockerd.log'}"
            )
        time.sleep(0.1)
        _reap(engine.pid)
    _record().unlink(missing_ok=True)
    return True


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # Another run of this program may have started it.
        os.waitpid(pid, os.WNOHANG)
