"""Ships releases of the backend, and says what is live.

Every function returns plain data; a failing one sets a non-zero exit code and still returns its data. Progress goes to
stderr, so that ``--out=json`` on stdout stays whole.
"""

import contextlib
import os
import sys
from pathlib import Path

from marketplace_durable import read_json
from marketplace_effective import release_digest
from marketplace_flight import Request
from marketplace_ledger import LedgerError
from marketplace_lock import LockHeld
from marketplace_paths import Paths
from marketplace_release import TROUBLE
from marketplace_release import release as ship
from marketplace_release import resume as settle
from marketplace_settings_guard import refusal
from marketplace_status import status as droplet_status
from marketplace_tree import revision
from marketplace_world import World

__virtualname__ = "deploy"

TREE = Path("/srv/deploy")


def __virtual__():
    return __virtualname__


def release(version=None, image=None):
    """Ship a version of the backend with no lost request; whatever fails leaves the live version as it was.

    version
        Tag of ``backend:image``; default is the setting ``backend:version``. A version that YAML reads as a number
        (1.10) needs quotes that reach Salt: ``deploy.release "'1.10'"``.
    image
        A whole image reference, with tag or digest, instead of ``backend:image`` and its tag. The version is then its
        tag, or its label ``org.opencontainers.image.version``, unless given.

    Returns the release record. Exit code 0 for the outcomes ``live`` and ``unchanged``; 1 for ``failed``,
    ``rolled_back`` and ``refused``, whose ``reason`` says why.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.release 1.4.2
        salt-call deploy.release image=registry.example.com/team/marketplace@sha256:...
    """
    if isinstance(version, (int, float)):
        return _refused(
            f"version {version!r} arrived as a number, which loses digits (1.10 becomes 1.1); "
            "quote it for Salt as well as for the shell: deploy.release \"'1.10'\""
        )
    settings, why = _settings_for_change()
    if settings is None:
        return _refused(why)
    wanted = str(version or ("" if image else settings["backend"]["version"]))
    request = Request(version=wanted, image=str(image or ""), by=_caller(), tree=revision(TREE))
    try:
        record = ship(World.of(_paths()), settings, release_digest(settings, _paths()), request, _progress)
    except TROUBLE as error:
        return _refused(str(error))
    if record.outcome not in ("live", "unchanged"):
        __context__["retcode"] = 1
    return record.to_dict()


def resume():
    """Finish or undo a release that was killed, and start what should run. Runs at boot; harmless at any time.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.resume
    """
    try:
        settings = read_json(_paths().settings)
        if settings is None:
            return _refused("this droplet is not converged yet: run state.apply")
        return settle(World.of(_paths()), settings, _caller(), _progress)
    except (LockHeld, *TROUBLE) as error:
        return _refused(str(error))


def status():
    """The live release, its health, who holds the release lock, what is in flight, and what waits to be done.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.status
    """
    try:
        settings = read_json(_paths().settings)
        return droplet_status(
            World.of(_paths()), settings, release_digest(settings, _paths()) if settings else None
        )
    except TROUBLE as error:
        return _refused(str(error))


def history(limit=10):
    """Release records, newest first.

    limit
        How many at most (default 10; 0 for all).

    CLI Example:

    .. code-block:: bash

        salt-call deploy.history
        salt-call deploy.history 50 --out=json
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        return _refused(f"limit is {limit!r}, expected a whole number such as 10, or 0 for all")
    ledger = World.of(_paths()).ledger
    try:
        broken = ledger.broken()
        return [
            record.to_dict() | ({"chain_broken": True} if record.release in broken else {})
            for record in ledger.newest(limit or None)
        ]
    except LedgerError as error:
        return _refused(str(error))


def _settings_for_change():
    """The effective settings, or None and why nothing may be changed with them."""
    why = refusal(__pillar__, _paths().settings)
    if why:
        return None, why
    settings = read_json(_paths().settings)
    if settings is None:
        return None, "this droplet is not converged yet: run state.apply"
    return settings, ""


def _refused(reason):
    __context__["retcode"] = 1
    return {"outcome": "refused", "reason": reason}


def _caller():
    """Who asks: behind sudo the person, not root."""
    return os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or os.environ.get("USER") or "root"


def _progress(line):
    # Somebody who stops listening (a closed terminal, a pipe to head) loses the view, never the release.
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
