"""PostgreSQL or Redis moves between this droplet and a provider: only where its data were moved, and nobody writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_ledger import Ledger, LedgerError
from marketplace_managed import NAMES, SERVICES, is_managed, place, theirs

MOVED = "salt-call state.apply pillar='{\"data_moved\": true}'"


def changing(before: Any, after: Mapping[str, Any]) -> tuple[str, ...]:
    """The services that are somewhere else after ``before``; none where there is no before, or an unreadable one.

    Another host of the same provider, or another database there, is somewhere else as well.
    """
    if not isinstance(before, Mapping):
        return ()
    return tuple(
        service
        for service in SERVICES
        if isinstance(before.get(service), Mapping)
        and (is_managed(before, service) or is_managed(after, service))
        and _where(before, service) != _where(after, service)
    )


def unproven(before: Any, after: Mapping[str, Any]) -> tuple[str, ...]:
    """The services at a provider that have to prove themselves: how they are reached is new."""
    known = before if isinstance(before, Mapping) else {}
    return tuple(
        service
        for service in theirs(after)
        if (known.get(service) or {}).get("managed") != after[service]["managed"]
    )


def refusal(before: Any, after: Mapping[str, Any], moved: bool, live: bool, closed: bool) -> str | None:
    """Why services may not change their place; None where they may, or none does.

    Args:
        before: plain settings that the droplet was converged with; None: never.
        after: plain settings of the pillar.
        moved: whether somebody says that the data were moved.
        live: whether a release is live; closed: whether the edge is closed by an operator.
    """
    names = changing(before, after)
    if not names or (moved and (closed or not live)):
        return None
    ways = "; ".join(f"{NAMES[name]} from {_words(before, name)} to {_words(after, name)}" for name in names)
    rule = "what users have written stays where it is, and the bot would be given what is there instead"
    if not moved:
        todo = f"docs/managed.md says how the data are moved. Behind that: {MOVED}"
    else:
        todo = f"what users write meanwhile would be lost: deploy.maintenance on, move the data, then {MOVED}"
    return f"pillar moves {ways}: {rule}. Nothing was changed. {todo}"


def unreleased(ledger: Ledger, releases: Path, after: Mapping[str, Any]) -> str | None:
    """Why nobody may be let in: the live release uses a service where it was before it moved. None where it does not.

    What users write there is lost as soon as a release goes to the new place. Each release has its settings beside its
    files, so a move is half done until one is live that has those of now. Reads only.

    Args:
        ledger: says who is live.
        releases: where the releases' files are.
        after: plain settings that the droplet has, or is to have.
    """
    try:
        live = ledger.live()
        before: Any = ledger.disk.read_json(releases / live.release / "settings.json") if live else None
    except (LedgerError, ValueError):
        return None
    names = changing(before, after)
    if live is None or not names:
        return None
    ways = "; ".join(
        f"{NAMES[name]} at {_words(before, name)} and not at {_words(after, name)}" for name in names
    )
    return (
        f"a move is half done: the live release ({live.version}) uses {ways}, and what users write there would be "
        f"lost. deploy.release {live.version} finishes the move"
    )


def _where(settings: Mapping[str, Any], service: str) -> tuple[Any, ...]:
    part = settings[service]
    if not is_managed(settings, service):
        return ("here",)
    return (part["address"], part["port"], part.get("database"))


def _words(settings: Mapping[str, Any], service: str) -> str:
    return place(settings, service) if is_managed(settings, service) else "this droplet"
