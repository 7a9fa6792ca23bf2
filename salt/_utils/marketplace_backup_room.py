"""Room for the next backup: what goes for it and in which order, and what never does."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, kinds, log_below, superfluous
from marketplace_units import amount

# Of the backups' file system, kept free for the log that comes meanwhile.
RESERVE = 0.05
# However little room there is, the backup of the night before stays until the next is good.
FLOOR = timedelta(hours=20)


def spare(world: BackupWorld, directory: Path) -> int:
    """Bytes that may be taken below a directory: on the backups' file system all that is free but for the reserve."""
    free, total = world.host.free(directory)
    return free - round(total * RESERVE) if directory.is_relative_to(world.paths.backups) else free


def refuse_below(
    world: BackupWorld, directory: Path, needed: int, advice: str, passing: bool = False
) -> None:
    """Refuse what has no room.

    Args:
        world: what backups touch.
        directory: where it is to be.
        needed: bytes.
        advice: how room is made, the words behind what is free.
        passing: whether it is gone again within minutes, and may take of the reserve meanwhile.

    Raises:
        BackupError: there is not enough.
    """
    reserved = directory.is_relative_to(world.paths.backups) and not passing
    free = spare(world, directory) if reserved else world.host.free(directory)[0]
    if free < needed:
        kept = " (what is kept for the log aside)" if reserved else ""
        raise BackupError(
            f"about {amount(needed)} are needed below {directory} and {amount(max(0, free))} are free{kept}{advice}"
        )


def as_before(world: BackupWorld, kind: str) -> int:
    """Bytes that the next backup of a kind may take, by the newest; 0 where there is none, or none can be told."""
    # A record that can't be read keeps nothing from being taken: what is deleted asks for all of them itself.
    newest = None
    with contextlib.suppress(ValueError):
        newest = world.catalogue.newest(kind)
    return round(newest.bytes * 1.5) if newest else 0


class Room:
    """The backups' file system.

    Args:
        world: what backups touch.
        settings: the effective settings.
        let_go: deletes one backup.
        clear: deletes what was never completed.
    """

    def __init__(
        self,
        world: BackupWorld,
        settings: Mapping[str, Any],
        let_go: Callable[[Backup], None],
        clear: Callable[[], object],
    ) -> None:
        self.world, self.let_go, self.clear = world, let_go, clear
        self.kinds = kinds(settings)
        self.keep = timedelta(days=settings["backup"]["keep_days"])

    def base(self, needed: int) -> str:
        """Room for a base backup. Base backups that ``keep_days`` still needs go for it, which people are told of.

        Args:
            needed: bytes.

        Raises:
            BackupError: there is not enough, nor would there be; of what ``keep_days`` needs nothing has gone then.
        """
        self._make(needed)
        gone = self._shorten(needed)
        if gone:
            self._tell(gone)
        self._refuse_below(needed)
        words = f"{amount(self.free())} free, about {amount(needed)} needed"
        return f"{words}; {len(gone)} that keep_days needs let go of for it" if gone else words

    def other(self, needed: int) -> None:
        """Room for anything else, for which nothing goes that ``keep_days`` needs.

        Args:
            needed: bytes.

        Raises:
            BackupError: there is not enough.
        """
        self._make(needed)
        self._refuse_below(needed)

    def let_old_go(self) -> int:
        """Let go of what is older than asked for; how many those were."""
        now = self.world.clock.now()
        gone = [
            backup
            for kind in self.kinds
            for backup in superfluous(self.world.catalogue.of(kind), self.keep, now)
        ]
        for backup in gone:
            self.let_go(backup)
        return len(gone)

    def free(self) -> int:
        """Bytes that backups may take."""
        return spare(self.world, self.world.paths.backups)

    def _make(self, needed: int) -> None:
        if self.free() >= needed:
            return
        self.clear()
        self.let_old_go()

    def _shorten(self, needed: int) -> list[Backup]:
        """Let go of the oldest base backups, one by one, down to the floor; of none where that would not be enough."""
        gone: list[Backup] = []
        free = self.free()
        if free >= needed or free + self._most() < needed:
            return gone
        while self.free() < needed:
            bases, now = self.world.catalogue.of("postgres"), self.world.clock.now()
            oldest = next(iter(superfluous(bases, FLOOR, now)), None)
            if oldest is None:
                break
            self.let_go(oldest)
            gone.append(oldest)
        return gone

    def _most(self) -> int:
        """Bytes that come free where every base backup goes that may, with the log that those alone need."""
        bases = self.world.catalogue.of("postgres")
        gone = superfluous(bases, FLOOR, self.world.clock.now())
        needed = min((base.begin.number for base in bases if base not in gone and base.begin), default=0)
        log = log_below(self.world.barman.directory).files if gone else {}
        return sum(backup.bytes for backup in gone) + sum(
            file.stat().st_size for segment, file in log.items() if segment.number < needed
        )

    def _tell(self, gone: list[Backup]) -> None:
        left = min(backup.taken for backup in self.world.catalogue.of("postgres") if backup.good)
        self.world.spool.emit(
            "backup.shortened",
            "warning",
            f"there is no room for the backups of {self.keep.days} days: {len(gone)} went for the new one, and nothing "
            f"before {left.isoformat(timespec='seconds')} can be restored any more; a larger backup:disk, or a smaller "
            "backup:keep_days",
            {"gone": [backup.id for backup in gone], "since": left.isoformat(timespec="seconds")},
        )

    def _refuse_below(self, needed: int) -> None:
        advice = "; not even all that may go would be enough: a larger backup:disk, then state.apply"
        refuse_below(self.world, self.world.paths.backups, needed, advice)
