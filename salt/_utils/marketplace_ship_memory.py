"""What was shipped to the copy elsewhere, in one file; and since when nothing could be."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupWorld
from marketplace_backups import Backup
from marketplace_claim import Owner, new_identity
from marketplace_durable import to_json

# After so long somebody has to know. Two rounds a minute are tried.
PATIENCE = timedelta(minutes=5)
# Of backups: one that was cut off begins anew, while the log goes on.
LONG_PATIENCE = timedelta(hours=1)
LOOK_EVERY = timedelta(days=1)


class Memory:
    """What was shipped, and since when nothing could be.

    Attributes:
        files: by name, size and time of change as they were when it was sent.
        last: when a round last went well.
        failing: ``since`` and ``error``, while rounds fail.
        identity: whom the copy knows this droplet as; rounds: how often it has written there.
        place: the copy that this is about; another one begins with nothing.
        held: as ``failing``, of the backups, which go by themselves.
        looked: when it was last looked whether ``files`` are there.
    """

    def __init__(
        self,
        files: dict[str, str],
        last: str,
        failing: dict[str, str] | None,
        identity: str = "",
        rounds: int = 0,
        place: str = "",
        held: dict[str, str] | None = None,
        looked: str = "",
    ) -> None:
        self.files, self.last, self.failing, self.held, self.looked = files, last, failing, held, looked
        self.identity, self.rounds, self.place = identity or new_identity(), rounds, place

    @property
    def owner(self) -> Owner:
        return Owner(self.identity, self.rounds)

    @classmethod
    def read(cls, world: BackupWorld) -> "Memory":
        """What is known; nothing was ever sent where there is no file.

        Raises:
            ValueError: the file is not readable; the message names it, and what to do.
        """
        try:
            return cls._read(world)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{_file(world)} does not say what was sent to the copy ({error}): move it away, and give "
                "backup:storage:target a place of its own, where everything is sent anew"
            ) from error

    @classmethod
    def _read(cls, world: BackupWorld) -> "Memory":
        found: Any = world.catalogue.disk.read_json(_file(world)) or {}
        return cls(
            dict(found.get("files", {})),
            str(found.get("last", "")),
            found.get("failing"),
            str(found.get("identity", "")),
            int(found.get("rounds", 0)),
            str(found.get("place", "")),
            found.get("held"),
            str(found.get("looked", "")),
        )

    def write(self, world: BackupWorld) -> None:
        document = {
            "files": self.files,
            "last": self.last,
            "failing": self.failing,
            "identity": self.identity,
            "rounds": self.rounds,
            "place": self.place,
            "held": self.held,
            "looked": self.looked,
        }
        world.catalogue.disk.write(_file(world), to_json(document), mode=0o600)

    def turn_to(self, place: str) -> None:
        """It is about that copy; of another than before nothing is known."""
        if self.place and self.place != place:
            self.files, self.last, self.held, self.looked = {}, "", None, ""
        self.place = place

    def is_unseen(self, now: datetime) -> bool:
        """Whether it is time to look whether all is there that was sent."""
        return not self.looked or now - datetime.fromisoformat(self.looked) > LOOK_EVERY

    def see(self, world: BackupWorld, names: Iterable[str], now: datetime) -> None:
        """Forget, so that it is sent again, what is not among the names that are there; somebody is told."""
        lost = sorted(self.files.keys() - set(names))
        for name in lost:
            del self.files[name]
        self.looked = now.isoformat(timespec="seconds")
        if lost:
            world.spool.emit(
                "backup.copy_lost",
                "warning",
                f"{len(lost)} files that were sent to {self.place} are not there ({lost[0]} among them). Those that "
                "are here are sent again. Does a rule of the storage's delete what is old, or did somebody?",
            )

    def lacking(self, stats: Mapping[str, str]) -> set[str]:
        """Names whose files are not at the copy as they are here."""
        return {name for name, facts in stats.items() if self.files.get(name) != facts}

    def shipped(self, world: BackupWorld, now: datetime) -> None:
        """A round went well."""
        if self.failing and self.failing.get("told"):
            world.spool.emit(
                "backup.shipped_again",
                "info",
                f"the backups reach their copy again after {self.failing['since']}",
            )
        self.last, self.failing = now.isoformat(timespec="seconds"), None
        self.write(world)

    def failed(self, world: BackupWorld, error: str, now: datetime) -> None:
        """A round did not; somebody is told once when that goes on."""
        failing = self.failing or {"since": now.isoformat(timespec="seconds")}
        failing["error"] = error
        if not failing.get("told") and now - datetime.fromisoformat(failing["since"]) > PATIENCE:
            failing["told"] = "yes"
            world.spool.emit(
                "backup.not_shipped",
                "critical",
                f"the backups have not reached their copy since {failing['since']}: {error}",
            )
        self.failing = failing
        self.write(world)

    def hold(self, world: BackupWorld, error: str, now: datetime) -> None:
        """A backup could not be sent; none is left to send where there is no ``error``."""
        before = self.held or {"since": now.isoformat(timespec="seconds")}
        self.held = before | {"error": error} if error else None
        self.write(world)

    def has(self, backup: Backup) -> bool:
        """Whether all of a backup is there."""
        return all(name in self.files for name in backup.files)


def late(memory: Memory, target: str, now: datetime) -> str:
    """What is wrong with the copy; nothing where it is well, or none is asked for."""
    if not target:
        return ""
    if not memory.last:
        since = memory.failing["since"] if memory.failing else ""
        fresh = not since or now - datetime.fromisoformat(since) < PATIENCE
        return "" if fresh else f"nothing was ever copied to {target}: {(memory.failing or {})['error']}"
    if now - datetime.fromisoformat(memory.last) < PATIENCE:
        held = memory.held
        if not held or now - datetime.fromisoformat(held["since"]) < LONG_PATIENCE:
            return ""
        return f"backups have not reached {target} since {held['since']}, though the log has: {held['error']}"
    why = f": {memory.failing['error']}" if memory.failing else "; see: systemctl status cron"
    return f"the backups have not reached {target} since {memory.last}{why}"


def _file(world: BackupWorld) -> Path:
    return world.paths.state / "shipped.json"
