"""The release engine as a process: does what a ticket asks for, or settles what a killed one left behind.

systemd runs it (marketplace_launch): ``marketplace_engine.py TICKET``, and ``--settle TICKET`` when that has ended.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from marketplace_durable import read_json
from marketplace_flight import Flight, Request
from marketplace_ledger import LedgerError
from marketplace_lock import LockHeld
from marketplace_operate import perform, resume
from marketplace_paths import Paths
from marketplace_progress import Progress
from marketplace_release import TROUBLE
from marketplace_settings_guard import NOT_CONVERGED
from marketplace_signals import SIGNALS, interruptible
from marketplace_terminal import Plain
from marketplace_ticket import Recorder, Ticket
from marketplace_world import World


def run(paths: Paths, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do what is asked for.

    Args:
        request: a Request as plain data.

    Returns:
        The release's record, or ``{"outcome": "refused", "reason": why}`` where it could not even begin.
    """
    try:
        settings = read_json(paths.settings)
        if settings is None:
            raise ValueError(NOT_CONVERGED)
        return perform(World.of(paths), settings, Request.from_dict(request), progress).to_dict()
    except TROUBLE as error:
        unfinished = World.of(paths).journal.file.exists()
        reason = f"{error}. It is not finished: mend that, then: deploy.resume" if unfinished else str(error)
        return {"outcome": "interrupted" if unfinished else "refused", "reason": reason}


def release(ticket: Ticket) -> None:
    """Do what a ticket asks for, and answer it.

    Raises:
        KeyboardInterrupt: a signal came where nothing could be undone; whoever settles looks at what there is.
    """
    asked = ticket.request()
    with interruptible():
        result = run(Paths(Path(asked["root"])), asked["request"], Recorder(ticket, Plain(sys.stdout)))
        # It is done: a signal that comes now must not make it look like a release that was killed.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        ticket.answer(result)
        sys.stdout.flush()
        os._exit(0)  # Past the end of this block they would count again.


def settle(ticket: Ticket) -> None:
    """Finish or undo what a killed release left, unless the droplet is going down: then that is done at boot."""
    if os.environ.get("SERVICE_RESULT") == "success" or ticket.result() or _going_down():
        return
    asked = ticket.request()
    request = Request.from_dict(asked["request"])
    paths = Paths(Path(asked["root"]))
    world = World.of(paths)
    try:
        settings = read_json(paths.settings)
        if settings is None:
            raise ValueError(NOT_CONVERGED)
        entry = world.journal.read()
        resumed = resume(world, settings, request.by, Recorder(ticket, Plain(sys.stdout)))["resumed"]
        record = _record(world, ticket, request, entry)
    except (LockHeld, *TROUBLE) as error:
        print(f"not settled: {error}", file=sys.stderr, flush=True)
        ticket.settle({"error": str(error), "resumed": None, "record": None})
    else:
        ticket.settle({"error": None, "resumed": resumed, "record": record})


def _record(
    world: World, ticket: Ticket, request: Request, entry: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The ledger's record of the ticket's release, whether the journal named it or was done with it already."""
    try:
        if entry is not None:
            flight = Flight.from_dict(entry)
            ours = flight.run.request == request
            return world.ledger.record(flight.run.release).to_dict() if ours else None
        newest = world.ledger.newest(1)
    except (LedgerError, KeyError, TypeError):
        return None
    found = [record for record in newest if record.release >= ticket.issued and record.by == request.by]
    return found[0].to_dict() if found else None


def _going_down() -> bool:
    asked = subprocess.run(
        ["systemctl", "is-system-running"], capture_output=True, text=True, timeout=30, check=False
    )
    return asked.stdout.strip() == "stopping"


if __name__ == "__main__":
    *flags, place = sys.argv[1:]
    (settle if flags == ["--settle"] else release)(Ticket(Path(place)))
