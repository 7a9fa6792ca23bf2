"""Docker in memory: a registry, local images with their names, containers with their restart policies."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import yaml
from marketplace_container import ContainerState, DockerError
from marketplace_docker import Docker, ImageFacts
from marketplace_release_compose import JOB_LABEL

from tests.simulation.clock import SimClock
from tests.simulation.containers import Container
from tests.simulation.database import SimDatabase
from tests.simulation.disk import SimDisk
from tests.simulation.gate import Gate
from tests.simulation.images import REPOSITORY, Image
from tests.simulation.migrations import run_command

# How long things take.
PULL, STOP, RUN = 2.0, 0.5, 1.0
Completed = subprocess.CompletedProcess[str]


class _Failed(Exception):
    """A command failed whose exit code nobody asks for."""


class SimDocker(Docker):
    """``calls`` tells what was changed, in order.

    Args:
        started: hears of a container that starts.
    """

    def __init__(self, gate: Gate, clock: SimClock, disk: SimDisk, database: SimDatabase) -> None:
        self.gate = gate
        self.clock = clock
        self.disk = disk
        self.database = database
        self.registry: dict[str, Image] = {}
        self.registry_answers = True
        self.names: dict[str, Image] = {}
        self.there: dict[str, Container] = {}
        self.calls: list[tuple[str, ...]] = []
        # Names of containers that a fault ended, which explains what users see until they are ready again.
        self.hurt: set[str] = set()
        self.started: Callable[[Container], None] = lambda container: None
        # What one-off containers do besides the image's declared commands: exit code, stdout, stderr; None: they hang.
        self.scripts: dict[tuple[str, ...], tuple[int, str, str] | None] = {}
        # How long a scheduled job runs, and how it ends.
        self.job_seconds, self.job_code = 20.0, 0
        self._made = 0

    # For tests.

    def push(self, version: str, image: Image) -> None:
        """Put an image into the registry."""
        self.registry[f"{REPOSITORY}:{version}"] = image

    def has(self, reference: str) -> Image | None:
        """The local image of a reference, at no gate. Of a tag and a digest Docker obeys the digest."""
        repository, at, digest = reference.partition("@")
        if at:
            head, slash, last = repository.rpartition("/")
            return self.names.get(f"{head}{slash}{last.partition(':')[0]}@{digest}")
        return self.names.get(reference) or next(
            (image for image in self.names.values() if image.id == reference), None
        )

    @property
    def running(self) -> set[str]:
        """Names of the containers that run."""
        return {name for name, container in self.there.items() if container.running}

    def tick(self) -> None:
        """What happens in containers as time passes."""
        now = self.clock.seconds
        for container in list(self.there.values()):
            if container.next_at <= now:
                self._comes_due(container)

    def _comes_due(self, container: Container) -> None:
        container.next_at = float("inf")
        if container.work is not None:
            container.result = container.work()
            container.work = None
            self.there.pop(container.name, None)  # --rm
        elif container.status == "restarting":
            container.restarts += 1
            self._launch(container)
        elif container.running and JOB_LABEL in container.labels:
            container.exit_code = self.job_code
            self._end(container, "exited")
        elif container.running and container.image.behaviour == "crashes_later":
            self.crash(container.name, by_itself=True)

    def crash(self, name: str, by_itself: bool = False) -> None:
        """A container's process dies; Docker starts it again where its policy says so."""
        container = self.there.get(name)
        if container is None or not container.running:
            return
        container.exit_code = 1
        self._end(container, "restarting" if container.policy != "no" else "exited")
        if not by_itself:
            self.hurt.add(name)
        container.next_at = self.clock.seconds + 1.0

    def power_fails(self) -> None:
        """The host goes down and comes back: what has a policy for that comes back as well."""
        for container in self.there.values():
            was = container.status
            container.work = None
            container.next_at = float("inf")
            if was in ("running", "restarting"):
                self._end(container, "exited")
                self.hurt.add(container.name)
                container.exit_code = 137
                if container.policy == "unless-stopped" and not container.by_hand:
                    self._launch(container)

    def _launch(self, container: Container) -> None:
        behaviour = container.image.behaviour
        container.started_at = self.clock.seconds
        container.stopped_at = None
        if behaviour in ("exits", "oom"):
            container.oom_killed = behaviour == "oom"
            container.exit_code = 137 if container.oom_killed else 3
            self._end(container, "restarting" if container.policy != "no" else "exited")
            container.next_at = self.clock.seconds + 1.0
            return
        container.status = "running"
        if JOB_LABEL in container.labels:
            container.next_at = self.clock.seconds + self.job_seconds
        elif behaviour == "crashes_later":
            container.next_at = self.clock.seconds + 4.0
        self.started(container)

    def _end(self, container: Container, status: str) -> None:
        container.status = status
        container.ended = True
        container.ended_at = self.clock.seconds

    # The effects.

    def pull(self, reference: str, timeout: float = 900) -> None:
        with self.gate.act("docker pull", DockerError, timeout):
            self.calls.append(("pull", reference))
            self.clock.seconds += PULL
            if not self.registry_answers:
                raise DockerError("docker pull failed: connection refused")
            digest = reference.partition("@")[2]
            found = self.registry.get(reference) or next(
                (image for image in self.registry.values() if digest and image.digest == digest), None
            )
            if found is None:
                raise DockerError(f"docker pull failed: manifest for {reference} not found: manifest unknown")
            self.names[f"{REPOSITORY}@{found.digest}"] = found
            if not digest:
                self.names[reference] = found

    def image(self, reference: str) -> ImageFacts | None:
        try:
            self.gate.look("docker image", _Failed)
        except _Failed:
            return None  # an error of this one looks like no image
        image = self.has(reference)
        if image is None:
            return None
        digests = tuple(name for name, found in self.names.items() if "@" in name and found.id == image.id)
        return ImageFacts(image.id, digests, image.labels, image.has_healthcheck, image.architecture)

    def architecture(self) -> str:
        self.gate.look("docker version", DockerError)
        return "amd64"

    def remote_size(self, reference: str) -> int | None:
        try:
            self.gate.look("docker manifest", _Failed)
        except _Failed:
            return None
        return 50 << 20 if self.registry_answers and reference in self.registry else None

    def image_names(self) -> dict[str, str]:
        self.gate.look("docker images", DockerError)
        return {name: image.id for name, image in self.names.items()}

    def tag(self, reference: str, name: str) -> None:
        with self.gate.act("docker tag", DockerError):
            image = self.has(reference)
            if image is None:
                raise DockerError(f"docker tag failed: No such image: {reference}")
            self.calls.append(("tag", reference, name))
            self.names[name] = image

    def untag(self, name: str) -> None:
        with contextlib.suppress(_Failed), self.gate.act("docker rmi", _Failed):
            self._untag(name)

    def _untag(self, name: str) -> None:
        image = self.names.get(name)
        if image is None:
            return
        others = [other for other, found in self.names.items() if found.id == image.id and other != name]
        repository = _repository(name)
        if "@" not in name and not any(
            "@" not in other and _repository(other) == repository for other in others
        ):
            # Docker takes a repository's digests along with its last tag.
            gone = {name, *(other for other in others if _repository(other) == repository)}
        else:
            gone = {name}
        if not set(others) - gone and any(c.image.id == image.id for c in self.there.values()):
            return  # a container uses it
        self.calls.append(("untag", name))
        for other in gone:
            self.names.pop(other, None)

    def containers(self, *names: str, timeout: float = 0) -> dict[str, ContainerState]:
        if not names:
            return {}
        self.gate.look("docker inspect", DockerError)
        return {name: self.there[name].state() for name in names if name in self.there}

    def start_project(self, file: Path, service: str, timeout: float = 120) -> None:
        text = self.disk.content(file)
        with self.gate.act("docker compose creates", DockerError, timeout):
            if text is None:
                raise DockerError(f"docker compose failed: open {file}: no such file or directory")
            wanted = _parse(text)
            described = wanted["services"][service]
            name = described["container_name"]
            image = self.has(described["image"])
            if image is None:
                raise DockerError(f"docker compose failed: No such image: {described['image']}")
            stray = next((other for other in self.there if other.endswith(f"_{name}")), None)
            if stray:
                raise DockerError(f"docker compose failed: the container name {stray} is already in use")
            self.calls.append(("start_project", name))
            self._made += 1
            made = Container(
                name=f"{self._made:012x}_{name}" if name in self.there else name,
                image=image,
                reference=described["image"],
                labels=dict(described["labels"]),
                project=wanted["name"],
                policy=described.get("restart", "no"),
                number=self._made,
            )
            self.there[made.name] = made
        if made.name != name:
            with self.gate.act("docker compose replaces", DockerError, timeout):
                replaced = self.there.pop(name, None)
                if replaced is not None and replaced.running:
                    replaced.by_hand = True
                    self._end(replaced, "exited")
            with self.gate.act("docker compose renames", DockerError, timeout):
                self.there.pop(made.name)
                made.name = name
                self.there[name] = made
        with self.gate.act("docker compose starts", DockerError, timeout):
            self._launch(made)

    def start(self, *names: str) -> None:
        self.calls.append(("start", *names))
        for name in names:
            with self.gate.act("docker start", DockerError):
                container = self._one(name)
                if not container.running:
                    container.by_hand = False
                    self._launch(container)

    def stop(self, *names: str, grace: int) -> None:
        self.gate.look("docker inspect", DockerError)
        for name in [name for name in names if name in self.there]:
            with self.gate.act("docker stop", DockerError, grace + 60):
                container = self._one(name)
                self.calls.append(("stop", name))
                self.clock.seconds += STOP
                container.by_hand = True
                container.stopped_at = self.clock.seconds
                container.next_at = float("inf")
                if container.status != "created":
                    container.exit_code = 0
                    self._end(container, "exited")

    def remove(self, *names: str) -> None:
        self.gate.look("docker inspect", DockerError)
        for name in [name for name in names if name in self.there]:
            with self.gate.act("docker rm", DockerError):
                container = self.there.pop(name, None)
                if container is not None:
                    self.calls.append(("remove", name))
                    container.work = None
                    self._end(container, "removed")

    def logs(self, name: str, lines: int) -> str:
        self.gate.look("docker logs", DockerError)
        return f"the last words of {name}"

    def last_exit(self, name: str) -> int | None:
        self.gate.look("docker events", DockerError)
        found = self.there.get(name)
        return found.exit_code if found and found.ended else None

    def projects(self) -> dict[str, str]:
        self.gate.look("docker ps", DockerError)
        return {name: container.project for name, container in self.there.items() if container.project}

    def exec_in(self, name: str, argv: Sequence[str], timeout: float, stdin: str | None = None) -> Completed:
        with self.gate.act("docker exec", DockerError, timeout):
            container = self.there.get(name)
            if container is None or not container.running:
                return _completed(1, "", f"Error response from daemon: No such container: {name}")
        return _completed(1 if argv[0] == "false" else 0, stdin or "")

    def run_once(self, arguments: Sequence[str], timeout: float) -> Completed:
        options = dict(word.split("=", 1) for word in arguments if word.startswith("--") and "=" in word)
        words = [word for word in arguments if not word.startswith("--")]
        name, argv = options["--name"], [options["--entrypoint"], *words[1:]]
        with self.gate.act("docker run", DockerError, timeout):
            image = self.has(words[0])
            if name in self.there or image is None:
                return _completed(125, "", f"docker: {name} is already in use, or there is no {words[0]}")
            self.calls.append(("run_once", *argv))
            self._made += 1
            container = Container(name, image, words[0], status="running", number=self._made)
            container.work = self._work(image, argv)
            self.there[name] = container
        if container.work is None:  # it hangs
            self.clock.seconds += timeout
            raise DockerError(f"docker run took longer than {timeout:.0f} s")
        container.next_at = self.clock.seconds + RUN
        with self.gate.act("docker run ends", DockerError, timeout):
            self.clock.seconds += RUN
            if container.result is None and container.work is not None:
                self._comes_due(container)
        return container.result or _completed(137, "", "killed")

    def _work(self, image: Image, argv: list[str]) -> Callable[[], Completed] | None:
        if tuple(argv) in self.scripts:
            said = self.scripts[tuple(argv)]
            return None if said is None else lambda: _completed(*said)
        return run_command(image, argv, self.database)

    def _one(self, name: str) -> Container:
        if name not in self.there:
            raise DockerError(f"docker failed: No such container: {name}")
        return self.there[name]


def _repository(name: str) -> str:
    head, slash, last = name.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _completed(code: int, stdout: str, stderr: str = "") -> Completed:
    return subprocess.CompletedProcess([], code, stdout, stderr)


@lru_cache(maxsize=16)
def _parse(text: str) -> dict:
    """A compose file; the same text is read only once, for reading YAML takes longer than all the rest."""
    return json.loads(text) if text.startswith("{") else yaml.load(text, yaml.CSafeLoader)
