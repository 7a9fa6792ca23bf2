"""Has a release done by a unit of systemd's own, and follows it from outside.

Whoever asks only looks on: Ctrl-C, a lost connection or a killed caller cost the view, and a shutdown stops the release
before it stops what the release works with.
"""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_paths import Paths
from marketplace_progress import Progress
from marketplace_sandbox import ENGINE as ENGINE_SANDBOX
from marketplace_signals import interruptible, uninterrupted
from marketplace_ticket import Reader, Ticket

ENGINE = Path(__file__).resolve().with_name("marketplace_engine.py")
PYTHON = Path("/opt/salt/bin/python")
# What a release works with. At a shutdown, units stop in the opposite order: the release first.
BEHIND = "docker.service marketplace-data.service marketplace-backend.service haproxy.service"
POLL_SECONDS = 0.1
# How often systemd is asked whether the unit is still there.
LOOK_SECONDS = 1.0


class LaunchError(Exception):
    """The release was not started; the message says why."""


def launched(
    paths: Paths, request: Mapping[str, Any], words: str, seconds: int, progress: Progress
) -> dict[str, Any]:
    """Have a release done and look on, for as long as the caller likes; arguments as for :func:`launch`.

    Returns:
        As for :func:`follow`; with the outcome ``refused`` where it was not begun, and ``running`` where a signal
        ended the view, and nothing but the view.
    """
    directory = None
    try:
        with interruptible():
            with uninterrupted():
                directory = launch(paths, request, words, seconds)
            return follow(directory, progress)
    except LaunchError as error:
        return {"outcome": "refused", "reason": str(error)}
    except KeyboardInterrupt as signal:
        if directory is None:
            return {"outcome": "refused", "reason": f"{signal}: stopped before it began"}
        reason = (
            f"only the view ended ({signal}); the {request['kind']} goes on. "
            f"See how: deploy.status, or journalctl -fu {Ticket(directory).unit}"
        )
        return {"outcome": "running", "reason": reason}


def launch(paths: Paths, request: Mapping[str, Any], words: str, seconds: int) -> Path:
    """Start a release in a unit of its own, and don't wait for it.

    Args:
        request: what is asked for, as plain data.
        words: the same for people; the unit's description.
        seconds: that it gets to stop, and to be settled where it was killed (:func:`patience`).

    Returns:
        The ticket's directory, for :func:`follow`.

    Raises:
        LaunchError: systemd did not take it. Nothing was begun.
    """
    try:
        ticket = Ticket.issue(paths.run, {"root": str(paths.root), "request": dict(request)})
    except OSError as error:
        raise LaunchError(f"no ticket could be written below {paths.run}: {error}") from error
    try:
        done = subprocess.run(
            unit_command(ticket, words, seconds),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            # A Ctrl-C at the caller's terminal is not for this command.
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"systemd-run could not start {ticket.unit}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise LaunchError(f"systemd-run could not start {ticket.unit}: {said}")
    return ticket.directory


def patience(settings: Mapping[str, Any]) -> int:
    """Seconds that a release gets to be undone when the droplet goes down, or to be settled where it was killed."""
    backend = settings["backend"]
    stops = 2 * int(backend["stop_grace"])
    # An older tree's settings do not know the soak.
    return (
        stops
        + sum(int(backend.get(name, 0)) for name in ("ready_timeout", "migration_timeout", "soak"))
        + 120
    )


def unit_command(ticket: Ticket, words: str, seconds: int) -> list[str]:
    """The command that has systemd run a ticket's release."""
    engine = [str(PYTHON if PYTHON.exists() else sys.executable), str(ENGINE)]
    settle = " ".join(map(_quoted, [*engine, "--settle", str(ticket.directory)]))
    return [
        "systemd-run",
        "--quiet",
        "--no-block",
        "--collect",
        f"--unit={ticket.unit}",
        f"--description=Marketplace {words}",
        "--property=SyslogIdentifier=marketplace-release",
        # The engine is told and undoes; what it had started, and what it leaves behind when it is killed, is killed.
        "--property=KillMode=mixed",
        f"--property=TimeoutStopSec={seconds}",
        f"--property=After={BEHIND}",
        f"--property=ExecStopPost={settle}",
        *(f"--property={line}" for line in ENGINE_SANDBOX),
        *engine,
        str(ticket.directory),
    ]


def follow(directory: Path, progress: Progress) -> dict[str, Any]:
    """Hand a release's progress on until it is over.

    Returns:
        The release's record. Where its process was killed: the record of what became of it, or, with the outcome
        ``interrupted``, what to do.
    """
    ticket, reader = Ticket(directory), Reader(Ticket(directory))
    look = time.monotonic() + LOOK_SECONDS
    while (result := ticket.result()) is None:
        reader.hand_on(progress)
        if time.monotonic() >= look:
            if not _there(ticket.unit):
                # It may have answered between the two looks.
                result = ticket.result() or _interrupted(ticket)
                break
            look = time.monotonic() + LOOK_SECONDS
        time.sleep(POLL_SECONDS)
    reader.hand_on(progress)
    return result


def _interrupted(ticket: Ticket) -> dict[str, Any]:
    settled = ticket.settled() or {}
    record: dict[str, Any] | None = settled.get("record")
    if record:
        return record
    reason = f"the release's process ended without an answer (see: journalctl -u {ticket.unit})"
    if settled.get("error"):
        reason += f", and what it left could not be settled: {settled['error']}"
    elif settled:
        reason += f"; {settled.get('resumed') or 'it had changed nothing'}"
    if settled and not settled.get("error"):
        return {"outcome": "interrupted", "reason": reason}
    return {"outcome": "interrupted", "reason": f"{reason}. deploy.resume finishes or undoes it"}


def _there(unit: str) -> bool:
    """Whether a unit is about to run, running or being settled; taken for granted where systemd can't be asked."""
    try:
        shown = subprocess.run(
            ["systemctl", "show", "--property=LoadState,ActiveState,Job", unit],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return True
    facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if facts.get("LoadState") == "not-found":
        return False
    return facts.get("ActiveState") not in ("inactive", "failed") or facts.get("Job", "0") not in ("", "0")


def _quoted(word: str) -> str:
    """A word as systemd's unit files write it: specifiers and variables are not filled in."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
