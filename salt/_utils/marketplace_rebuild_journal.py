"""What a rebuild has done so far, on disk: a rebuild that was killed is taken up again from there."""

from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_durable import read_json, to_json
from marketplace_progress import Progress


class RebuildJournal:
    """The journal of one rebuild.

    Args:
        world: what backups touch.
        place: the copy that it is from.
        time: how far the database's log is replayed (ISO 8601); None for all that there is.
        by: who asks.

    Attributes:
        done: names of the steps that are done.
        found: what is known of the database that was restored.
        notes: sentences for people, in the order in which things were found.
    """

    def __init__(self, world: BackupWorld, place: str, time: str | None, by: str) -> None:
        self.world, self.place, self.time, self.by = world, place, time, by
        self.started = ""
        self.done: list[str] = []
        self.found: dict[str, Any] = {}
        self.notes: list[str] = []

    def take_up(self, progress: Progress) -> None:
        """Go on from what is on disk, where something is.

        Raises:
            BackupError: another rebuild was begun here, or the droplet is no fresh one.
        """
        paths = self.world.paths
        journal = read_json(self._file)
        if journal is not None:
            if [journal["place"], journal["time"]] != [self.place, self.time]:
                until = f" up to {journal['time']}" if journal["time"] else ""
                raise BackupError(
                    f"a rebuild from {journal['place']}{until} was begun here at {journal['started']}: go on with it, "
                    "or use a fresh droplet"
                )
            progress.say(f"taking up the rebuild that {journal['by']} began at {journal['started']}")
            self.by, self.started = journal["by"], journal["started"]
            self.done, self.found, self.notes = journal["done"], journal["found"], journal["notes"]
            return
        converged = [str(path) for path in (paths.settings, paths.live_map) if path.exists()]
        if converged:
            raise BackupError(
                f"this droplet is no fresh one ({', '.join(converged)}): a rebuild would mix two. Use a new droplet. "
                "The database alone: backup.fetch, then backup.restore to=live"
            )

    def write(self) -> None:
        """Durably, before it is relied on: from the first time on this droplet is no fresh one any more."""
        disk = self.world.catalogue.disk
        disk.make_directory(self._file.parent)
        self.started = self.started or self.world.clock.now().isoformat(timespec="seconds")
        entry = {
            "by": self.by,
            "started": self.started,
            "place": self.place,
            "time": self.time,
            "done": self.done,
            "found": self.found,
            "notes": self.notes,
        }
        disk.write(self._file, to_json(entry), mode=0o600)

    def end(self) -> None:
        """The rebuild is over."""
        self.world.catalogue.disk.remove(self._file)

    @property
    def _file(self) -> Path:
        return self.world.paths.rebuild
