"""A restore in the database's place that was begun and is not finished: what there is to know of it, and to do."""

from collections.abc import Mapping
from typing import Any

from marketplace_durable import DISK, Disk
from marketplace_journal import Journal
from marketplace_paths import Paths


def unfinished(paths: Paths, disk: Disk = DISK) -> dict[str, Any] | None:
    """The restore that was begun and not finished."""
    found: dict[str, Any] | None = disk.read_json(paths.restore)
    return found


def taken_up(entry: Mapping[str, Any]) -> str:
    """What takes an unfinished restore up again, as one types it."""
    return "backup.restore to=live" + (f" time='{entry['time']}'" if entry["time"] else "")


def interrupted(entry: Mapping[str, Any]) -> str:
    """What there is to know, and to do, of an unfinished restore."""
    gives_up = "" if entry.get("came_up") else "; backup.restore undo=True gives it up"
    return (
        f"a restore that {entry['by']} began at {entry['started']} is not finished: {taken_up(entry)} takes it up again"
        f"{gives_up}"
    )


def undecided(paths: Paths, disk: Disk = DISK) -> str:
    """The unfinished restore of which nobody knows yet whether its data stay; nothing where there is none."""
    entry = unfinished(paths, disk)
    # Where it has come up, what is live stays.
    return interrupted(entry) if entry and not entry.get("came_up") else ""


def closed_for(paths: Paths, holder: Mapping[str, Any] | None) -> str:
    """Why the edge has to stay closed: what users would write is not what stays. Nothing where it may be opened.

    Args:
        paths: where things are.
        holder: who has the release lock, which everything has that works on the live data.
    """
    doing = str((holder or {}).get("doing", ""))
    if holder and doing.startswith("backup."):
        return f"{doing} by {holder.get('by', 'unknown')} is putting other data in the live ones' place: wait for it"
    return undecided(paths)


def half_done(paths: Paths, disk: Disk = DISK) -> str:
    """What was interrupted and has to be finished or undone first, in words; nothing where all is settled.

    Whoever finishes or undoes it would have other data before him than it was begun with. A restore comes before a
    release, which waits for it.
    """
    begun = unfinished(paths, disk)
    return interrupted(begun) if begun else release_half_done(paths, disk)


def release_half_done(paths: Paths, disk: Disk = DISK) -> str:
    """The release that was interrupted, in words; nothing where there is none."""
    entry = Journal(paths.journal, disk).read()
    if entry is None:
        return ""
    return (
        f"release {entry['run']['release']} was interrupted at {entry['step']}: first deploy.resume, which "
        "finishes or undoes it"
    )
