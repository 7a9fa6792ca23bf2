"""Docker, by its command line and its socket: what the engine asks of containers and images, and nothing else."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from marketplace_container import ContainerState, DockerError, DockerTimeout
from marketplace_docker_socket import PATIENT, DockerSocket
from marketplace_last_words import last_words

# What runc says now and then of a host that is at its limit: the process in which the command would have begun is gone.
# Source: the words around nsexec and setup in github.com/opencontainers/runc, libcontainer/process_linux.go
_NOT_BEGUN = "waiting for init preliminary setup"


@dataclass(frozen=True)
class ImageFacts:
    """What matters of an image: its digest references, labels, and whether it checks its own health."""

    id: str
    repo_digests: Sequence[str]
    labels: Mapping[str, str]
    has_healthcheck: bool
    architecture: str = "amd64"


def confined(user: str, processes: int) -> list[str]:
    """Arguments of ``docker run`` for a program that reaches no network and changes nothing but what is mounted.

    Args:
        user: uid and gid that it runs as.
        processes: how many it may have.
    """
    return [
        "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={user}",
        f"--pids-limit={processes}",
    ]  # fmt: skip


class Docker:
    """Runs ``docker`` with the deployment's own registry credentials.

    Args:
        config: DOCKER_CONFIG directory; Docker's default serves while it does not exist.
        socket: where Docker answers.
    """

    def __init__(self, config: Path, socket: Path) -> None:
        self.config, self.socket = config, socket

    def run(
        self, *arguments: str, timeout: float = 120, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one docker command.

        Args:
            arguments: argv behind ``docker``.
            timeout: deadline in seconds; the command is killed behind it.
            check: raise when it exits non-zero.
            stdin: what the command reads; nothing by default.

        Raises:
            DockerTimeout: it took too long.
            DockerError: it failed, or docker is not installed.
        """
        environment = dict(os.environ)
        if self.config.is_dir():
            environment["DOCKER_CONFIG"] = str(self.config)
        try:
            result = subprocess.run(
                ["docker", *arguments],
                capture_output=True,
                text=True,
                errors="replace",  # what containers write need not be UTF-8
                timeout=timeout,
                env=environment,
                input=stdin or "",
                check=False,
            )
        except FileNotFoundError as error:
            raise DockerError("docker is not installed; run state.apply first") from error
        except subprocess.TimeoutExpired as error:
            raise DockerTimeout(f"docker {arguments[0]} took longer than {timeout:.0f} s") from error
        if check and result.returncode != 0:
            raise DockerError(
                f"docker {arguments[0]} failed: {last_words(result.stderr.strip() or result.stdout)}"
            )
        return result

    def pull(self, reference: str, timeout: float = 900) -> None:
        """Fetch an image; DockerError when it does not exist, the registry is out of reach or the disk is full."""
        self.run("pull", "--quiet", reference, timeout=timeout)

    def image(self, reference: str) -> ImageFacts | None:
        """Facts of a local image; None when it is not here."""
        result = self.run("image", "inspect", reference, check=False)
        if result.returncode != 0:
            return None
        document = json.loads(result.stdout)[0]
        config = document.get("Config") or {}
        return ImageFacts(
            id=document["Id"],
            repo_digests=tuple(document.get("RepoDigests") or ()),
            labels=config.get("Labels") or {},
            has_healthcheck=bool((config.get("Healthcheck") or {}).get("Test")),
            architecture=document.get("Architecture") or "",
        )

    def architecture(self) -> str:
        """What the engine runs: ``amd64``, ``arm64`` ..., as images say it."""
        return self.run("version", "--format={{.Server.Arch}}").stdout.strip()

    def remote_size(self, reference: str) -> int | None:
        """Bytes of an image's layers in its registry (compressed); None where the registry does not tell."""
        result = self.run("manifest", "inspect", reference, check=False, timeout=30)
        try:
            document = json.loads(result.stdout) if result.returncode == 0 else {}
            return sum(int(layer["size"]) for layer in document["layers"])
        except (ValueError, KeyError, TypeError):
            return None

    def image_names(self) -> dict[str, str]:
        """Every name (``repository:tag`` or ``repository@digest``) of the local images, and the image's id."""
        listed = self.run("image", "ls", "--no-trunc", "--digests", "--format={{json .}}").stdout
        found: dict[str, str] = {}
        for line in listed.splitlines():
            row = json.loads(line)
            if row["Tag"] != "<none>":
                found[f"{row['Repository']}:{row['Tag']}"] = row["ID"]
            if row["Digest"] != "<none>":
                found[f"{row['Repository']}@{row['Digest']}"] = row["ID"]
        return found

    def tag(self, reference: str, name: str) -> None:
        """Give a local image one more name."""
        self.run("tag", reference, name)

    def untag(self, name: str) -> None:
        """Take a name off an image; the image itself stays while it has others. A missing name is fine."""
        self.run("rmi", "--no-prune", name, check=False)

    def containers(self, *names: str, timeout: float = PATIENT) -> dict[str, ContainerState]:
        """States of those of ``names`` that exist.

        Args:
            names: of containers.
            timeout: seconds that Docker may take for each.

        Raises:
            DockerError: Docker is not there, or says anything but that there is no such container.
        """
        if names and not self.socket.exists():
            raise DockerError("docker is not installed, or was stopped; run state.apply first")
        return DockerSocket(self.socket, timeout).containers(*names)

    def is_well(self, name: str) -> bool:
        """Whether that container is there and well."""
        state = self.containers(name).get(name)
        return state is not None and state.well

    def start_project(self, file: Path, service: str, timeout: float = 120) -> None:
        """Create and start one service of a compose file anew, whatever ran under its name before."""
        self.run(
            "compose", "--file", str(file), "up", "--detach", "--no-deps", "--force-recreate", "--no-build",
            "--pull", "never", service, timeout=timeout,
        )  # fmt: skip

    def start(self, *names: str) -> None:
        """Start stopped containers."""
        self.run("start", *names)

    def stop(self, *names: str, grace: int) -> None:
        """Stop containers gracefully: SIGTERM, and SIGKILL behind ``grace`` seconds. Missing ones are well stopped."""
        present = list(self.containers(*names))
        if present:
            self.run("stop", f"--time={grace}", *present, timeout=grace + 60)

    def remove(self, *names: str) -> None:
        """Remove containers, running or not; missing ones are fine. Volumes are never touched."""
        present = list(self.containers(*names))
        if present:
            self.run("rm", "--force", *present)

    def logs(self, name: str, lines: int) -> str:
        """The last lines that a container wrote, both streams."""
        result = self.run("logs", f"--tail={lines}", name, check=False)
        return (result.stdout + result.stderr).strip()

    def last_exit(self, name: str) -> int | None:
        """The exit code of a container's last end, also of one that runs again.

        None where it never ended, is gone, or Docker does not remember: it keeps its last 256 events.
        """
        found = self.run("container", "inspect", "--format={{.Id}}", name, check=False)
        if found.returncode != 0:
            return None
        # With its fraction: Docker makes whole seconds of durations, and would leave out what happened within this one.
        now = f"{time.time():.9f}"
        told = self.run(
            "events", "--since=24h", f"--until={now}", f"--filter=container={found.stdout.strip()}",
            "--filter=event=die", "--format={{.Actor.Attributes.exitCode}}",
        ).stdout.split()  # fmt: skip
        return int(told[-1]) if told else None

    def projects(self) -> dict[str, str]:
        """Names of all containers that compose made, running or not, and the project of each."""
        listed = self.run(
            "ps", "--all", "--filter=label=com.docker.compose.project",
            '--format={{.Names}}\t{{.Label "com.docker.compose.project"}}',
        ).stdout  # fmt: skip
        return dict(line.split("\t", 1) for line in listed.splitlines() if "\t" in line)

    def exec_in(
        self, name: str, argv: Sequence[str], timeout: float, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command in a running container; the result is returned whatever its exit code.

        What Docker failed to begin is tried once more.

        Args:
            stdin: what the command reads; nothing by default.

        Raises:
            DockerTimeout: it took too long.
            DockerError: docker is not installed.
        """
        flags = ["--interactive"] if stdin is not None else []
        command = ["exec", *flags, name, *argv]
        done = self.run(*command, timeout=timeout, check=False, stdin=stdin)
        if done.returncode != 0 and _NOT_BEGUN in done.stderr:
            done = self.run(*command, timeout=timeout, check=False, stdin=stdin)
        return done

    def run_once(self, arguments: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        """A one-off container (``docker run``); the result is returned whatever its exit code."""
        return self.run("run", *arguments, timeout=timeout, check=False)
