"""Starting and stopping the load from a test, and what is known of it meanwhile."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.droplet.machine import Machine
from tests.support.droplet.paths import REPOSITORY

from . import effects, state
from .entry import Entry, parse
from .figures import Figures, Window, figures, outside

HOME = "/opt/load"
NEEDED = (
    "tests/__init__.py",
    "tests/support/__init__.py",
    "tests/support/botapi/__init__.py",
    "tests/support/botapi/retry.py",
    *(f"tests/support/load/{name}.py" for name in ("__init__", "entry", "conversation", "wire", "generator")),
)
LONGEST_SECONDS = 4 * 3600
WAIT_SECONDS = 180
"""An answer is waited for a minute, and who got none comes back after up to two: what is under way ends within that."""


@dataclass(frozen=True)
class Target:
    """Where updates go: an HTTPS server found at ``address``, whose certificate is signed by ``authority`` (PEM)."""

    address: str
    authority: str
    secret: str
    path: str
    port: int = 443
    name: str = "bot.test"


def edge(droplet: Machine, name: str = "bot.test") -> Target:
    """The droplet's own edge, with the secret from its store and the certificate that it serves."""
    certificate = droplet.run(["openssl", "x509", "-in", f"/etc/haproxy/certs/{name}.pem"]).stdout
    secret = state.secret_of(droplet, "webhook_secret")
    return Target(droplet.address(), certificate, secret, state.webhook_path(droplet), name=name)


@contextmanager
def users(
    neighbour: Machine, droplet: Machine, clients: int = 20, rate: float = 1.0, name: str = "bot.test"
) -> Iterator[Load]:
    """People who write to the droplet's bot for as long as the block; ``name``: of the droplet."""
    load = Load(neighbour, edge(droplet, name), clients, rate)
    try:
        yield load.start()
    finally:
        load.abandon()


class Load:
    """A run of the generator on ``neighbour``, towards ``target``.

    Args:
        neighbour: a machine of the site, with python3. The log stays there, outside the droplet.
        target: where the updates go.
        clients: users, each with a connection.
        rate: updates a second that each sends.
    """

    def __init__(self, neighbour: Machine, target: Target, clients: int = 100, rate: float = 0.6) -> None:
        # Later than any number of an earlier run, and far from those of the Bot API's stand-in.
        moment = int(time.time())
        self.neighbour = neighbour
        self.target = target
        self.rate = rate
        self.updates = range(moment * 1_000_000, (moment + 1) * 1_000_000)
        first = 6_000_000_000 + moment % 1_000_000 * 1_000
        self.chats = range(first, first + clients)
        self.run = f"run{moment}"
        self.directory = f"{HOME}/{self.run}"
        self.windows: list[Window] = []
        self._handle = ""

    # Its life

    def start(self) -> Load:
        """Start it, and wait until every client has had an answer.

        Raises:
            AssertionError: it ended at once, or some have none after a while.
        """
        _unpack(self.neighbour)
        plan = {
            "address": self.target.address, "port": self.target.port, "name": self.target.name,
            "authority": self.target.authority, "path": self.target.path, "secret": f"{self.directory}/secret",
            "clients": len(self.chats), "rate": self.rate, "first_update": self.updates.start,
            "first_chat": self.chats.start, "run": self.run, "log": f"{self.directory}/log.jsonl",
            "stop": f"{self.directory}/stop", "seconds": LONGEST_SECONDS,
        }  # fmt: skip
        self.neighbour.put(f"{self.directory}/secret", self.target.secret, mode=0o600)
        self.neighbour.put(f"{self.directory}/plan.json", json.dumps(plan))
        api = self.neighbour.client.api
        script = (
            f"echo $$ > {self.directory}/pid; "
            f"exec python3 -m tests.support.load.generator {self.directory}/plan.json 2> {self.directory}/errors"
        )
        self._handle = api.exec_create(
            self.neighbour.container.id, ["sh", "-c", script], workdir=HOME,
            environment={"PYTHONDONTWRITEBYTECODE": "1"},
        )["Id"]  # fmt: skip
        api.exec_start(self._handle, detach=True)
        self._until(self._all_served, "every client is served")
        return self

    def stop(self) -> None:
        """Let every client finish what it is at, and wait until all have ended; harmless when it is over.

        Raises:
            AssertionError: it failed, or some update is still not answered after a while.
        """
        self.neighbour.put(f"{self.directory}/stop", "")
        self._until(lambda: not self._running(), "everything that was sent is answered", ends=True)
        code = self.neighbour.client.api.exec_inspect(self._handle)["ExitCode"]
        assert code == 0, f"the load generator ended with status {code}: {self._errors()}"

    def abandon(self) -> None:
        """End it, whatever it is at: for a test that has failed already."""
        if self._running():
            pid = self.neighbour.get(f"{self.directory}/pid").decode().strip()
            # Its image has the shell's own kill alone. One that has just ended is fine.
            self.neighbour.run(["sh", "-c", f"kill -KILL {pid} || ! kill -0 {pid}"])

    def pause_until(self, requests: int) -> None:
        """Wait until so many more requests have been answered: that much load at rest."""
        before = len(self.entries())
        self._until(
            lambda: len(self.entries()) >= before + requests, f"{requests} more requests are answered"
        )

    # What is known of it

    def entries(self) -> list[Entry]:
        """Every request so far."""
        try:
            return parse(self.neighbour.get(f"{self.directory}/log.jsonl").decode())
        except FileNotFoundError:
            return []

    @contextmanager
    def window(self) -> Iterator[None]:
        """Remember the time of the block: what happens in it is a release."""
        started = time.time()
        try:
            yield
        finally:
            self.windows.append(Window(started, time.time()))

    def figures(self) -> Figures:
        """Over the whole run."""
        return figures(self.entries())

    def in_windows(self) -> Figures:
        """Over what was under way in one of the remembered windows."""
        return figures(self.entries(), self.windows)

    def at_rest(self) -> Figures:
        """Over what was under way between them."""
        entries = self.entries()
        return figures(entries, outside(entries, self.windows))

    def differences(
        self, droplet: Machine, dialogues: bool = True, stores: state.Stores | None = None
    ) -> list[str]:
        """After :meth:`stop`: what the droplet has that is not as the log promises, see :func:`effects.differences`."""
        has = state.state(droplet, self.run, self.chats, self.updates, stores)
        return effects.differences(self.entries(), has, dialogues)

    def assert_lossless(
        self,
        droplet: Machine,
        failed: int | None = 0,
        dialogues: bool = True,
        stores: state.Stores | None = None,
    ) -> Figures:
        """Stop, and nothing was lost, doubled or forgotten.

        Args:
            failed: how many requests may have failed at first; None for any number, where the droplet itself was off.
            dialogues: see :meth:`differences`.
            stores: where the data are; on the droplet by default.
        """
        self.stop()
        found = self.figures()
        assert failed is None or found.failed <= failed, found
        assert not dialogues or found.wrong == 0, [entry for entry in self.entries() if not entry.right][:5]
        differences = self.differences(droplet, dialogues, stores)
        assert not differences, "\n".join([*differences, str(found)])
        return found

    def _running(self) -> bool:
        return bool(self._handle and self.neighbour.client.api.exec_inspect(self._handle)["Running"])

    def _errors(self) -> str:
        return self.neighbour.get(f"{self.directory}/errors").decode()[-2000:]

    def _all_served(self) -> bool:
        return len({entry.chat for entry in self.entries() if entry.ok}) == len(self.chats)

    def _until(self, condition: Callable[[], bool], what: str, ends: bool = False) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}; {self.figures()}"
            assert ends or self._running(), f"the load generator has ended: {self._errors()}"
            time.sleep(0.5)


def _unpack(machine: Machine) -> None:
    """Put what the generator needs where it runs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in NEEDED:
            archive.add(REPOSITORY / name, f"{HOME.lstrip('/')}/{name}")
    machine.run(["tar", "-x", "-C", "/", "--no-same-owner"], stdin=buffer.getvalue())
