"""What takes the live data's place behind a closed edge, and what is left to be done then."""

from collections.abc import Callable
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_import import imported
from marketplace_import_source import Source
from marketplace_progress import Progress
from marketplace_quiet import behind_closed_edge
from marketplace_recovery import Target
from marketplace_restore_begun import half_done
from marketplace_restore_cache import choose_snapshot, restore_cache
from marketplace_restore_live import refuse_restore, refuse_undo, restore_live, undo_live
from marketplace_world import World

_OPEN = "deploy.maintenance off"
_RESTORE = "backup.restore to=live"


class InPlace:
    """One such command. Each answers as its work does, refused where the edge is open, and raises as that does.

    Args:
        world: what backups touch.
        settings: the resolved settings.
        progress: told meanwhile.
        by: who asks.
    """

    def __init__(self, world: BackupWorld, settings: dict[str, Any], progress: Progress, by: str) -> None:
        self.world, self.settings, self.progress, self.by = world, settings, progress, by

    def restore_database(self, target: Target) -> dict[str, Any]:
        """The database as it was at a point in time."""
        return self._closed(
            _RESTORE,
            "the database is being restored",
            lambda: refuse_restore(self.world, target),
            lambda: restore_live(self.world, self.settings, target, self.progress, self.by),
            "restored",
            "state.apply (roles and passwords as of today), and deploy.release of the live version where its schema is "
            "newer than the restored one",
            _OPEN,
            "backup.create (the backups begin anew)",
            "backup.confirm, once all is well: deletes the old data",
        )

    def restore_cache(self, target: Target) -> dict[str, Any]:
        """The cache as a snapshot had it."""

        def check() -> None:
            choose_snapshot(self.world.catalogue.of("redis"), target.time)

        return self._closed(
            _RESTORE,
            "the cache is being restored",
            check,
            lambda: restore_cache(self.world, self.settings, target.time, self.progress, self.by),
            "restored",
            _OPEN,
            "backup.confirm, once all is well: deletes the old snapshot",
        )

    def undo(self) -> dict[str, Any]:
        """The old data again, instead of a restore of the database that is not finished."""
        return self._closed(
            f"{_RESTORE} undo=True",
            "a restore is being given up",
            lambda: refuse_undo(self.world, self.settings),
            lambda: undo_live(self.world, self.settings, self.progress, self.by),
            "undone",
            f"{_OPEN}; or {_RESTORE} with another time=",
        )

    def move_in(self, source: Source) -> dict[str, Any]:
        """Database and cache of a bot that ran elsewhere."""

        def check() -> None:
            waiting = half_done(self.world.paths)
            if waiting:
                raise BackupError(waiting)

        return self._closed(
            "backup.import",
            "data are being imported",
            check,
            lambda: imported(self.world, self.settings, source, self.progress, self.by),
            "imported",
            "deploy.release of the live version, which brings the schema to its head",
            f"{_OPEN}; in earnest also telegram:register, and state.apply marketplace.webhook",
            "backup.create (a dump of what was imported)",
            "backup.confirm, once all is well: deletes what was here before",
        )

    def _closed(
        self,
        doing: str,
        why: str,
        check: Callable[[], None],
        work: Callable[[], dict[str, Any]],
        good: str,
        *left: str,
    ) -> dict[str, Any]:
        answer = behind_closed_edge(
            World.of(self.world.paths), self.world.lock, self.settings, doing, why, self.by, check, work
        )
        return answer | ({"next": list(left)} if answer["outcome"] == good else {})
