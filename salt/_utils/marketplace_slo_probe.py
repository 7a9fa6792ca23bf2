"""Asks the edge how it is as somebody outside would: at the droplet's own public address, by name, with TLS and all.

curl does it, in a process of its own: an edge that hangs holds up nobody, and what TLS takes of memory ends with it.
"""

import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_durable import read_json
from marketplace_paths import Paths

EVERY = 10.0
# Telegram waits longer; people don't.
PATIENCE = 5
# curl ends by itself before.
_LONGEST = 15.0
# Nobody is sent anything: it only tells by which address the droplet would (RFC 5737).
_ELSEWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True)
class Probe:
    """One answer.

    Attributes:
        at: when it was asked for, in seconds since 1970.
        status: the HTTP status; 0 where there was none.
        words: what went wrong; empty where updates are taken.
    """

    at: float
    status: int
    words: str = ""

    @property
    def good(self) -> bool:
        return self.status == 200


class Prober:
    """Asks at a fixed pace, one probe at a time."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._due = 0.0
        self._at = 0.0
        self._process: subprocess.Popen[str] | None = None

    def turn(self, settings: Mapping[str, Any], now: float) -> Probe | None:
        """Begin a probe that is due, or take in one that has ended.

        Args:
            now: in seconds since 1970.
        """
        if self._process is None:
            late = now - self._due
            if -EVERY <= late < 0:
                return None
            # After a pause it begins anew, and makes up for nothing.
            self._due, self._at = (self._due if 0 <= late < EVERY else now) + EVERY, now
            try:
                self._process = self._begin(settings)
            except (OSError, ValueError) as error:
                return Probe(now, 0, f"it can't be asked: {error}")
            return None
        if self._process.poll() is None and now - self._at < _LONGEST:
            return None
        process, self._process = self._process, None
        # Who was killed, for want of memory perhaps, says nothing of the bot.
        killed = (process.returncode or 0) < 0
        process.kill()
        said, _ = process.communicate()
        return None if killed else answer(self._at, said)

    def stop(self) -> None:
        """End a probe that is on its way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _begin(self, settings: Mapping[str, Any]) -> "subprocess.Popen[str]":
        # What settings say counts once the edge has it.
        edge = read_json(self._paths.asked) or settings["edge"]
        command = question(edge, own_address(), self._paths)
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )


def own_address() -> str:
    """The address by which the droplet speaks to the world.

    Raises:
        OSError: there is no way out.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(_ELSEWHERE)
        return str(connection.getsockname()[0])


def question(edge: Mapping[str, Any], address: str, paths: Paths) -> list[str]:
    """The command that asks.

    Args:
        edge: the settings ``edge``; address: where it is asked.
    """
    domain = edge["domains"][0]
    return [
        "curl", "--silent", "--noproxy", "*", "--max-time", str(PATIENCE), "--output", "/dev/null",
        "--write-out", "%{http_code} %{errormsg}", "--user-agent", "marketplace-watch",
        "--connect-to", f"{domain}:443:{address}:443", *trust(edge, paths), f"https://{domain}/healthz",
    ]  # fmt: skip


def trust(edge: Mapping[str, Any], paths: Paths) -> list[str]:
    """By what Telegram, and so curl, knows the edge: its own certificate, an authority's root, or those all trust."""
    if not edge["directory"]:
        return ["--cacert", str(paths.tls / f"{edge['domains'][0]}.crt")]
    if edge["root"]:
        return ["--cacert", str(_root(edge["root"], paths))]
    # A rehearsal's certificates are trusted by nobody, and meant to be.
    return ["--insecure"] if edge["certificate"] == "letsencrypt-staging" else []


def _root(pem: str, paths: Paths) -> Path:
    file = paths.run / "edge-root.pem"
    if not file.exists() or file.read_text() != pem:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(pem)
    return file


def answer(at: float, said: str) -> Probe:
    """What curl wrote, as a probe that was begun at some time."""
    code, _, words = said.partition(" ")
    status = int(code) if code.isdigit() else 0
    if status == 200:
        return Probe(at, status)
    return Probe(at, status, words.strip() or (f"it answers {status}" if status else "no answer"))
