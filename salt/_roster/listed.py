"""Targets of salt-ssh: those of the flat roster, and exit codes that can be relied on.

Salt alone ends with 0 where nothing matched, so that a misspelt target would look released, and with 0 at Ctrl-C. The
roster is asked first, by the process that ends with the exit code: hence both are mended here.
"""

import multiprocessing
import signal
import sys
import threading

import salt.loader
from salt.exceptions import SaltClientError, SaltRenderError
from salt.roster import get_roster_file


def targets(tgt, tgt_type="glob", **options):
    """The targets that ``tgt`` names.

    tgt, tgt_type
        As on the command line, for example ``production`` or ``staging-*``.

    Raises:
        SaltClientError: the roster cannot be read, or nothing in it matches.
    """
    flat = salt.loader.roster(__opts__, utils=salt.loader.utils(__opts__))["flat.targets"]
    try:
        found = flat(tgt, tgt_type, **options)
        if not found:
            known = ", ".join(sorted(flat("*", "glob", **options))) or "nothing"
            raise SaltClientError(f"no target matches '{tgt}'; {get_roster_file(__opts__)} lists {known}")
    except (SaltRenderError, OSError) as wrong:
        raise SaltClientError(f"the roster cannot be read: {wrong}") from wrong
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
    return found


def _end(number, frame):
    """End at once, with those that look on for this process, and say so as shells do: 130 at Ctrl-C."""
    for child in multiprocessing.active_children():
        child.terminate()
    sys.exit(128 + number)
