"""Where a rollback goes, and with which settings."""

from typing import Any

from marketplace_ledger import Ledger
from marketplace_records import ReleaseRecord
from marketplace_settings import HOW_CAREFULLY
from marketplace_world import World

# What belongs to the droplet as it is today, not to a release: the edge and the data services know the backend by it.
OF_THE_DROPLET = HOW_CAREFULLY | {"addresses", "port"}


class Unreachable(Exception):
    """There is no such release to go back to."""


def target_of(ledger: Ledger, asked: str) -> ReleaseRecord:
    """The release that a rollback goes back to.

    Args:
        asked: a release id; "" for the one before the live one. Going back twice goes two releases back, rather than
            forth again to what was left in haste.

    Raises:
        Unreachable: there is none; the message names those that there are.
    """
    live = ledger.live()
    if live is None:
        raise Unreachable("nothing was ever released, so there is nothing to go back to")
    if asked:
        return _live_record(ledger, asked)
    before = ledger.record(live.origin).previous
    if before is None:
        raise Unreachable(f"{live.version} ({live.origin}) is the first release: there is nothing before it")
    return _live_record(ledger, ledger.record(before).origin)


def _live_record(ledger: Ledger, asked: str) -> ReleaseRecord:
    found = ledger.record(asked) if asked in ledger.ids() else None
    if found is None or found.outcome != "live":
        lives = [record for record in ledger.newest_first() if record.outcome == "live"]
        known = ", ".join(f"{record.release} ({record.version})" for record in lives[:5])
        by_version = [record.release for record in lives if record.version == asked]
        hint = f"; version {asked} was release {by_version[0]}" if by_version else ""
        raise Unreachable(f"release '{asked}' was never live{hint}. The newest that were: {known}")
    return ledger.record(found.origin)


def settings_of(world: World, today: dict[str, Any], origin: ReleaseRecord) -> dict[str, Any]:
    """The settings of a release, on the droplet as it is today: its addresses, data services and secrets are today's.

    Raises:
        Unreachable: the release's settings are not here.
    """
    file = world.paths.releases / origin.release / "settings.json"
    try:
        then = world.disk.read_json(file)
    except ValueError as error:
        raise Unreachable(str(error)) from error
    if not isinstance(then, dict):
        raise Unreachable(f"the settings of release {origin.release} are not in {file}")
    kept = {name: today["backend"][name] for name in OF_THE_DROPLET if name in today["backend"]}
    return {**today, "backend": {**today["backend"], **then["backend"], **kept}}
