"""What restores and imports have set aside: the old data, until somebody confirms that the new ones are right."""

import shutil
from pathlib import Path

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_database import MAJOR
from marketplace_import import ASIDE
from marketplace_restore_begun import interrupted, unfinished
from marketplace_restore_cache import kept_caches


def database_directory(world: BackupWorld) -> Path:
    """Where the database's data directory lies, and those beside it: on one file system."""
    return world.paths.root / "srv/data/postgres/data"


def aside(world: BackupWorld) -> list[Path]:
    """The data directories that restores have put aside, oldest first."""
    return sorted(database_directory(world).glob(f"{MAJOR}.before-*"))


def confirm(world: BackupWorld, by: str) -> list[str]:
    """Delete what restores and imports have put aside, the database's data and the cache's; the paths and names.

    Raises:
        LockHeld: somebody is at the backups already.
        BackupError: a restore is not finished.
        DatabaseError: the database can't be asked; files are deleted.
    """
    with world.lock.held(by, "backup.confirm"):
        begun = unfinished(world.paths)
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
