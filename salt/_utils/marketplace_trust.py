"""What the live release was started with: which authorities it trusts, and whether it uses TLS to reach its services.

Read from what a release leaves behind, so that nothing is taken away from a backend that still needs it.
"""

from datetime import datetime

import yaml
from marketplace_ledger import Ledger, LedgerError
from marketplace_managed import TRUSTED
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord
from marketplace_service_authority import Trust, certificates
from marketplace_yaml import load


def live_release(paths: Paths) -> ReleaseRecord | None:
    """The live release's record; None while nothing ever was live.

    Raises:
        ValueError: the ledger cannot be read.
    """
    try:
        return Ledger(paths.ledger).live()
    except LedgerError as error:
        raise ValueError(str(error)) from error


def unencrypted_release(paths: Paths) -> ReleaseRecord | None:
    """The live release, if it was started without being told to use TLS (by an older tree): it needs the old way.

    What its container was started with decides, so a rollback or an automatic return counts as what it is.
    """
    live = live_release(paths)
    if live is None:
        return None
    try:
        document = load((paths.releases / live.release / "compose.yaml").read_text())
        variables = document["services"]["backend"]["environment"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        # Not known: nothing is taken away.
        return live
    return None if variables.get("REDIS_TLS") == "true" else live


def trust(paths: Paths, successor: str | None) -> Trust:
    """Whether the live release trusts an authority.

    Args:
        successor: its certificate as PEM; None where there is none.
    """
    live = live_release(paths)
    if live is None or successor is None:
        return Trust(live=live is not None, successor=False)
    delivered = paths.delivered / "backend" / TRUSTED
    try:
        there = successor in certificates(delivered.read_text())
        since = delivered.stat().st_mtime
    except OSError:
        return Trust(live=True, successor=False)
    # A backend may read the file once, when it starts; the release began before that.
    return Trust(live=True, successor=there and datetime.fromisoformat(live.started).timestamp() > since)
