"""What restores in the database's place have left behind them: one that is not finished, and old data set aside."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_import import ASIDE
from marketplace_restore_cache import kept_caches


def database_directory(world: BackupWorld) -> Path:
    """Where the database's data directory lies, and those beside it: on one file system."""
    return world.paths.root / "srv/data/postgres/data"


def unfinished(world: BackupWorld) -> dict[str, Any] | None:
    """The restore that was begun and not finished."""
    found: dict[str, Any] | None = world.catalogue.disk.read_json(world.paths.restore)
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


def closed_for(world: BackupWorld, holder: Mapping[str, Any] | None) -> str:
    """Why the edge has to stay closed: what users would write is not what stays. Nothing where it may be opened.

    Args:
        world: what backups touch.
        holder: who has the release lock, which everything has that works on the live data.
    """
    doing = str((holder or {}).get("doing", ""))
    if holder and doing.startswith("backup."):
        return f"{doing} by {holder.get('by', 'unknown')} is putting other data in the live ones' place: wait for it"
    begun = unfinished(world)
    # Where it has come up, what is live stays.
    return interrupted(begun) if begun and not begun.get("came_up") else ""


def aside(world: BackupWorld) -> list[Path]:
    """The data directories that restores have put aside, oldest first."""
    return sorted(database_directory(world).glob("17.before-*"))


def confirm(world: BackupWorld, by: str) -> list[str]:
    """Delete what restores and imports have put aside, the database's data and the cache's; the paths and names.

    Raises:
        LockHeld: somebody is at the backups already.
        BackupError: a restore is not finished.
        DatabaseError: the database can't be asked; files are deleted.
    """
    with world.lock.held(by, "backup.confirm"):
        begun = unfinished(world)
        if begun:
            raise BackupError(interrupted(begun))
        found = aside(world)
        for directory in found:
            shutil.rmtree(directory)
        caches = kept_caches(world)
        for file in caches:
            file.unlink()
        databases = world.database.beginning(ASIDE)
        for name in databases:
            world.database.drop_point(name)
        return [*(str(path) for path in (*found, *caches)), *(f"database {name}" for name in databases)]
