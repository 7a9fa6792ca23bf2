"""The edge: which colour is live (a file decides), and HAProxy's admin socket that is told."""

import csv
import io
import socket
from pathlib import Path

from marketplace_durable import make_directory, write_atomic
from marketplace_records import COLOURS


class EdgeError(Exception):
    """HAProxy cannot be asked or told; the message says what to look at."""


class Edge:
    """The live map and HAProxy's runtime.

    Args:
        live_map: the file that decides who is live.
        admin_socket: HAProxy's socket, level admin.
    """

    def __init__(self, live_map: Path, admin_socket: Path) -> None:
        self.live_map = live_map
        self.admin_socket = admin_socket

    def live(self) -> str | None:
        """The live colour by the file; None while there is no file or nothing was ever live.

        Raises:
            EdgeError: the file says something else. Nothing may be stopped on its word then.
        """
        try:
            text = self.live_map.read_text()
        except FileNotFoundError:
            return None
        words = text.split()
        if len(words) != 2 or words[0] != "live" or words[1] not in (*COLOURS, "none"):
            raise EdgeError(f"{self.live_map} says {text[:80]!r}; expected one line such as 'live blue'")
        return None if words[1] == "none" else words[1]

    def switch(self, colour: str | None) -> None:
        """Make ``colour`` live: durably in the file first, since HAProxy forgets its runtime map when it restarts.

        Raises:
            EdgeError: the file is written, but HAProxy could not be told.
        """
        make_directory(self.live_map.parent)
        write_atomic(self.live_map, f"live {colour or 'none'}\n")
        self.synchronise()

    def synchronise(self) -> None:
        """Bring HAProxy's runtime map to what the file says."""
        colour = self.live() or "none"
        if self.runtime_live() == colour:
            return
        answer = self.command(f"set map {self.live_map} live {colour}")
        if answer.strip():
            raise EdgeError(f"HAProxy did not take the live colour: {answer.strip()}")

    def runtime_live(self) -> str:
        """The live colour as HAProxy has it at this moment (``none`` where nothing is live)."""
        for line in self.command(f"show map {self.live_map}").splitlines():
            words = line.split()
            if len(words) == 3 and words[1] == "live":
                return words[2]
        raise EdgeError(f"HAProxy knows no map {self.live_map}; run state.apply")

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
                connection.settimeout(5)
                connection.connect(str(self.admin_socket))
                connection.sendall(command.encode() + b"\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise EdgeError(
                f"HAProxy does not answer on {self.admin_socket} ({error}); see: systemctl status haproxy"
            ) from error
