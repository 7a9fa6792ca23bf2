"""The edge: which colour is live (a file decides), and HAProxy's admin socket that is told."""

import csv
import fcntl
import io
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk
from marketplace_records import COLOURS

# The longest that it may take to read the edge's log.
_LOG_SECONDS = 30
# Who may close the edge for updates: each opens only what it closed.
KEEPERS = ("operator", "release")


class EdgeError(Exception):
    """HAProxy cannot be asked or told; the message says what to look at."""


@dataclass(frozen=True)
class Counters:
    """Answers of a colour since HAProxy started: all of them, and those that say the server failed (5xx)."""

    answers: int
    errors: int


@dataclass(frozen=True)
class Answered:
    """A request as the edge logged it.

    Attributes:
        end: when it was over, in seconds since 1970; active_ms: how long it took in all.
        held_ms: how long it waited for a connection to a colour; retries: how often that was tried again.
        status: HTTP status; -1 where the client had gone.
        colour: the live colour at its start.
    """

    end: float
    active_ms: int
    held_ms: int
    retries: int
    status: int
    colour: str


def maintenance_lines(closed: Mapping[str, bool]) -> str:
    """The maintenance map's content; who is not named does not keep the edge closed."""
    return "".join(f"{name} {'on' if closed.get(name) else 'off'}\n" for name in KEEPERS)


class Edge:
    """The live map, the maintenance map, and HAProxy's runtime.

    Args:
        live_map: the file that decides who is live.
        maintenance_map: the file that says who keeps the edge closed.
        admin_socket: HAProxy's socket, level admin.
        patience: seconds that it may take to answer there.
    """

    def __init__(
        self,
        live_map: Path,
        maintenance_map: Path,
        admin_socket: Path,
        disk: Disk = DISK,
        patience: float = 5,
    ) -> None:
        self.live_map = live_map
        self.maintenance_map = maintenance_map
        self.admin_socket = admin_socket
        self.disk = disk
        self.patience = patience

    def live(self) -> str | None:
        """The live colour by the file; None while there is no file or nothing was ever live.

        Raises:
            EdgeError: the file says something else. Nothing may be stopped on its word then.
        """
        try:
            text = self.disk.read_text(self.live_map)
        except FileNotFoundError:
            return None
        words = text.split()
        if len(words) != 2 or words[0] != "live" or words[1] not in (*COLOURS, "none"):
            raise EdgeError(
                f"{self.live_map} says {text[:80]!r}; expected one line such as 'live blue'. "
                "Write the colour that serves (docker ps) into it, then: deploy.resume"
            )
        return None if words[1] == "none" else words[1]

    def switch(self, colour: str | None) -> None:
        """Make ``colour`` live: durably in the file first, since HAProxy forgets its runtime map when it restarts.

        Raises:
            EdgeError: the file is written, but HAProxy could not be told.
        """
        self.disk.make_directory(self.live_map.parent)
        self.disk.write(self.live_map, f"live {colour or 'none'}\n")
        self.synchronise()

    def synchronise(self) -> None:
        """Bring HAProxy's runtime maps to what the files say."""
        self.disk.make_directory(self.maintenance_map.parent)
        with self.alone():
            self._synchronise()

    def _synchronise(self) -> None:
        self._set(self.live_map, self._runtime(self.live_map), {"live": self.live() or "none"})
        if self.disk.names(self.maintenance_map.parent).count(self.maintenance_map.name):
            wanted = {keeper: "on" if on else "off" for keeper, on in self.maintenance().items()}
            self._set(self.maintenance_map, self._runtime(self.maintenance_map), wanted)

    def runtime_live(self) -> str:
        """The live colour as HAProxy has it at this moment (``none`` where nothing is live).

        Raises:
            EdgeError: HAProxy does not answer, or knows no such map.
        """
        found = self._runtime(self.live_map).get("live")
        if found is None:
            raise EdgeError(f"HAProxy knows no map {self.live_map}; run state.apply")
        return found

    def maintenance(self) -> dict[str, bool]:
        """Who keeps the edge closed, by the file: ``{"operator": False, "release": False}`` while it is open."""
        try:
            lines = self.disk.read_text(self.maintenance_map).splitlines()
        except FileNotFoundError:
            lines = []
        said = dict(line.split(maxsplit=1) for line in lines if len(line.split()) == 2)
        return {keeper: said.get(keeper) == "on" for keeper in KEEPERS}

    def maintain(self, keeper: str, on: bool) -> None:
        """Close the edge for updates, which then wait at Telegram (503 with Retry-After), or open it again.

        Args:
            keeper: ``operator`` or ``release``; it is open when neither keeps it closed.

        Raises:
            EdgeError: the file is written, but HAProxy could not be told.
        """
        self.disk.make_directory(self.maintenance_map.parent)
        # The operator does not hold the release lock, so neither may forget what the other says meanwhile.
        with self.alone():
            self.disk.write(self.maintenance_map, maintenance_lines(self.maintenance() | {keeper: on}))
            self._synchronise()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes the maintenance map during the block."""
        file = self.maintenance_map.with_name(".maintenance.lock")
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _runtime(self, file: Path) -> dict[str, str]:
        rows = (line.split() for line in self.command(f"show map {file}").splitlines())
        return {row[1]: row[2] for row in rows if len(row) == 3}

    def _set(self, file: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        for key, value in wanted.items():
            if key not in found:
                raise EdgeError(f"HAProxy knows no '{key}' in its map {file}; run state.apply")
            if found[key] != value and (answer := self.command(f"set map {file} {key} {value}").strip()):
                raise EdgeError(f"HAProxy did not take {key} {value}: {answer}")

    def counters(self, colour: str) -> Counters:
        """How a colour has answered since HAProxy started."""
        row = self.statistics().get((f"be_{colour}", "BACKEND"), {})
        kinds = {kind: int(row.get(f"hrsp_{kind}") or 0) for kind in ("2xx", "3xx", "4xx", "5xx")}
        return Counters(sum(kinds.values()), kinds["5xx"])

    def answered(self, since: float) -> list[Answered]:
        """Requests to a colour that were over after ``since`` (seconds since 1970), from the edge's own log.

        Raises:
            EdgeError: the journal cannot be read.
        """
        argv = ["journalctl", "--namespace=+edge", "--output=json", f"--since=@{since:.3f}"]
        argv += ["SYSLOG_IDENTIFIER=haproxy"]
        argv += ["--output-fields=MESSAGE", "--no-pager", "--quiet"]
        # Line by line: all of it at once may be more than there is memory for.
        try:
            with subprocess.Popen(
                ["timeout", str(_LOG_SECONDS), *argv],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                lines: Iterator[str] = process.stdout or iter(())
                found = [one for line in lines if (one := _answered(line))]
                said = process.stderr.read().strip() if process.stderr else ""
        except OSError as error:
            raise EdgeError(f"the edge's log cannot be read: {error}") from error
        if process.returncode:
            why = said or f"journalctl ended with {process.returncode}"
            raise EdgeError(f"the edge's log cannot be read: {why}")
        return found

    def sessions(self, colour: str) -> int:
        """Requests that HAProxy has open towards a colour's backend."""
        rows = self.statistics()
        return int(rows.get((f"be_{colour}", "BACKEND"), {}).get("scur") or 0)

    def check_passes(self, colour: str) -> bool:
        """Whether HAProxy's own check of a colour's backend passes: it looks only every other second."""
        return self.statistics().get((f"check_{colour}", "BACKEND"), {}).get("status", "").startswith("UP")

    def statistics(self) -> dict[tuple[str, str], dict[str, str]]:
        """HAProxy's ``show stat``, by proxy and server name."""
        text = self.command("show stat").lstrip("# ")
        return {(row["pxname"], row["svname"]): row for row in csv.DictReader(io.StringIO(text))}

    def command(self, command: str) -> str:
        """One command on the admin socket.

        Raises:
            EdgeError: nobody answers there.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.patience)
                connection.connect(str(self.admin_socket))
                connection.sendall(command.encode() + b"\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise EdgeError(
                f"HAProxy does not answer on {self.admin_socket} ({error}); see: systemctl status haproxy"
            ) from error


def _answered(line: str) -> Answered | None:
    """A request to a colour in a line of the journal; None for any other line."""
    try:
        entry: dict[str, Any] = json.loads(line)
        said: dict[str, Any] = json.loads(entry["MESSAGE"])
        # The engine's own questions come by another frontend.
        if not str(said["backend"]).startswith("be_") or not str(said["frontend"]).startswith("https"):
            return None
        return Answered(
            end=int(entry["__REALTIME_TIMESTAMP"]) / 1e6,
            active_ms=max(0, int(said["active_ms"])),
            held_ms=max(0, int(said["queue_ms"])) + max(0, int(said["connect_ms"])),
            retries=int(str(said["retries"]).lstrip("+")),
            status=int(said["status"]),
            colour=str(said["backend"]).removeprefix("be_"),
        )
    except (ValueError, KeyError, TypeError):
        return None
