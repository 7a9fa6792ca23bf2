"""Barman, by its command line: base backups, the log, and restores of them into a directory.

It runs in a systemd unit of its own, as the user who owns the backups: whoever kills the command that asked for it
leaves a unit that the next one can see and end, with everything that it started.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from marketplace_background import background_processors, own_slice
from marketplace_last_words import last_words

USER = "backup"
# Its uid and gid, which are the same on every Debian.
OWNER = "34:34"
RESTORE_SECONDS = 4 * 3600.0
UNIT = "marketplace-barman.service"
_INFO = "-backup.info"
# What it says before the words: when it is, who it is, which part of it, and how bad it is.
_BEFORE = re.compile(
    r"(?:\d{4}-\d\d-\d\d [\d:,]+ \[\d+\] [\w.]+ )?(?:ERROR|CRITICAL|WARNING|INFO|EXCEPTION): "
)


class BarmanError(Exception):
    """Barman failed, or cannot be run; the message is its own."""


@dataclass(frozen=True)
class Base:
    """A base backup as Barman knows it.

    ``begin`` and ``end`` are the first and last log segment that it needs; ``bytes`` what it takes on disk, ``cluster``
    what the server's files took when it was taken.
    """

    id: str
    status: str
    begin: str
    end: str
    started: str
    ended: str
    bytes: int
    cluster: int

    @property
    def done(self) -> bool:
        """Whether it is complete, with all of the log that it needs."""
        return self.status == "DONE"


class Barman:
    """Runs ``barman`` for one server.

    Args:
        home: barman_home.
        server: the server's name.
    """

    def __init__(self, home: Path, server: str = "postgres") -> None:
        self.home = home
        self.server = server

    @property
    def directory(self) -> Path:
        return self.home / self.server

    @property
    def _staging(self) -> Path:
        """Where a restore copies a packed base backup to before it unpacks it."""
        return self.home.parent / "staging"

    def run(
        self,
        *arguments: str,
        timeout: float = 60,
        look: Callable[[], None] = lambda: None,
        bind: tuple[Path, Path] | None = None,
    ) -> str:
        """Run one command; its standard output.

        Args:
            arguments: argv behind ``barman``.
            timeout: deadline in seconds; it is ended behind it, with all it started.
            look: called once a second meanwhile.
            bind: a directory, and the path that it has for Barman.

        Raises:
            BarmanError: it failed, took too long, or is not there.
        """
        processors = " ".join(map(str, background_processors()))
        command = [
            # Active, for whoever looks, is Barman itself and not yet what systemd forked to become it.
            "systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec",
            f"--unit={UNIT}", f"--slice={own_slice()}",
            f"--uid={USER}", f"--property=CPUAffinity={processors}", "--property=Nice=10",
            "--property=IOSchedulingClass=idle", "--property=UMask=0077",
            "--property=NoNewPrivileges=yes", "--property=ProtectSystem=strict", "--property=PrivateTmp=yes",
            f"--property=ReadWritePaths={self.home.parent}",
            *([f"--property=BindPaths={bind[0]}:{bind[1]}"] if bind else []), "barman", *arguments,
        ]  # fmt: skip
        deadline = time.monotonic() + timeout
        try:
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                try:
                    while True:
                        try:
                            output, errors = process.communicate(timeout=1)
                            break
                        except subprocess.TimeoutExpired:
                            if time.monotonic() >= deadline:
                                raise BarmanError(
                                    f"barman {arguments[0]} took longer than {timeout:.0f} s"
                                ) from None
                            look()
                finally:
                    if process.poll() is None:
                        self.end()
        except OSError as error:
            raise BarmanError(f"barman cannot be run: {error.strerror or error}") from error
        if process.returncode != 0:
            raise BarmanError(f"barman {arguments[0]}: {reason(errors + output)}")
        return output

    def end(self) -> None:
        """End what an earlier command left running, and clear what it left; harmless where there is nothing.

        Raises:
            BarmanError: systemd could not be asked, or did not come to an end with it.
        """
        try:
            # systemd itself kills what has not stopped in 90 seconds.
            subprocess.run(["systemctl", "stop", UNIT], capture_output=True, timeout=120, check=False)
            subprocess.run(["systemctl", "reset-failed", UNIT], capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise BarmanError(f"{UNIT} could not be stopped: {error}") from error
        # Barman removes its own copies at the end of a restore that comes to one.
        shutil.rmtree(self._staging, ignore_errors=True)

    def bases(self) -> list[Base]:
        """Every base backup that there is, whatever became of it; oldest first."""
        found = []
        for file in sorted((self.directory / "meta").glob(f"*{_INFO}")):
            identity = file.name.removesuffix(_INFO)
            found.append(base_of(identity, file.read_text(), size_of(self.directory / "base" / identity)))
        return found

    def files(self, identity: str) -> list[Path]:
        """Every file of a base backup, what Barman knows of it included."""
        below = (path for path in (self.directory / "base" / identity).rglob("*") if path.is_file())
        return sorted([*below, self.directory / "meta" / f"{identity}{_INFO}"])

    def base(self, identity: str) -> Base:
        """One base backup.

        Raises:
            BarmanError: there is none of that id.
        """
        found = {base.id: base for base in self.bases()}
        if identity not in found:
            raise BarmanError(
                f"there is no base backup {identity}: {', '.join(found) or 'there is none at all'}"
            )
        return found[identity]

    def take(self, timeout: float, look: Callable[[], None]) -> str:
        """Take a base backup; its id. The log that it needs may still be on its way (``put_away``).

        Raises:
            BarmanError: Barman failed, took too long or is not there, or it went well and there is no new backup.
        """
        before = {base.id for base in self.bases()}
        self.run("backup", self.server, timeout=timeout, look=look)
        new = [base.id for base in self.bases() if base.id not in before]
        if not new:
            raise BarmanError("barman backup: it says that it went well, and there is no backup")
        return new[-1]

    def put_away(self) -> None:
        """Check and compress the segments that the receiver has finished."""
        self.run("archive-wal", self.server, timeout=600)

    def list_log(self) -> None:
        """Have the list of what is put away made anew from what there is: restores know no other log."""
        self.run("rebuild-xlogdb", self.server, timeout=600)

    def complete(self, identity: str) -> bool:
        """Whether all of the log that a base backup needs is put away; Barman itself looks only when it is asked to."""
        if not self.base(identity).done:
            self.run("check-backup", self.server, identity)
        return self.base(identity).done

    def switch(self) -> None:
        """Have the server finish its present segment, so that the receiver can."""
        self.run("switch-wal", "--force", self.server)

    def restore(self, identity: str, directory: Path, look: Callable[[], None]) -> None:
        """Unpack a base backup and all of the log behind it into an empty directory that belongs to ``USER``.

        The directory may be anywhere: it is mounted below the backups for it.
        """
        inside = self.home.parent / "restoring"
        for place in (inside, self._staging):
            place.mkdir(mode=0o700, exist_ok=True)
            shutil.chown(place, USER, USER)
        self.run(
            "restore", "--no-get-wal", "--target-tli=latest", f"--recovery-staging-path={self._staging}", self.server,
            identity, str(inside), timeout=RESTORE_SECONDS, look=look, bind=(directory, inside),
        )  # fmt: skip

    def delete(self, identity: str) -> None:
        """Delete a base backup, and the part of the log that only it needed."""
        self.run("delete", self.server, identity, timeout=600)

    def discard(self, identity: str) -> None:
        """Delete what is left of a base backup that never got done.

        One that failed before it had begun, Barman refuses to delete: it asks for that to be done by hand.
        """
        if self.base(identity).begin:
            self.delete(identity)
            return
        place = self.directory / "base" / identity
        if place.exists():
            shutil.rmtree(place)
        (self.directory / "meta" / f"{identity}{_INFO}").unlink(missing_ok=True)


def reason(said: str) -> str:
    """Why it failed, out of all it said: it says things twice, to a log and to who asked."""
    lines = [_BEFORE.sub("", line).strip() for line in said.splitlines()]
    return last_words("\n".join(line for line in dict.fromkeys(lines) if line))


def base_of(identity: str, information: str, size: int) -> Base:
    """A base backup by the text of its ``backup.info``."""
    pairs = dict(line.split("=", 1) for line in information.splitlines() if "=" in line)
    facts = {key: "" if value == "None" else value for key, value in pairs.items()}
    return Base(
        id=identity,
        status=facts.get("status", ""),
        begin=facts.get("begin_wal", ""),
        end=facts.get("end_wal", ""),
        started=facts.get("begin_time", ""),
        ended=facts.get("end_time", ""),
        bytes=size,
        cluster=int(facts.get("cluster_size") or 0),
    )


def size_of(directory: Path) -> int:
    """Bytes of all files below ``directory``; what goes away meanwhile is not counted."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
