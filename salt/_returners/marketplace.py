"""Leaves a line in the journal for every run of Salt on the droplet: what, by whom, how it ended."""

import contextlib
import os
import socket
import sys
from pathlib import Path

# Salt shows modules and states the way to _utils, but not returners.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

from marketplace_arguments import caller
from marketplace_run_record import record

__virtualname__ = "marketplace"

# Where the journal takes syslog messages. Elsewhere (a laptop) there may be none, and nothing is kept.
SOCKET = "/dev/log"
# Facility daemon, severity err or info.
ERROR, INFO = 3 * 8 + 3, 3 * 8 + 6


def __virtual__():
    return __virtualname__


def returner(ret):
    """Tell the journal.

    ret
        What Salt hands to returners.
    """
    went_well, line = record(ret, caller(os.environ))
    message = f"<{INFO if went_well else ERROR}>salt[{os.getpid()}]: {line}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.connect(SOCKET)
        journal.send(message.encode())
