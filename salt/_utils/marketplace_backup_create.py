"""Taking a backup: the database's files and its log, the cache's snapshot. Each is recorded when it is complete."""

import hashlib
import math
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_room import Room, as_before
from marketplace_backup_snapshot import SNAPSHOT, take_snapshot
from marketplace_backup_steps import Steps
from marketplace_backup_verify import inspect
from marketplace_backup_world import WHERE, BackupError, BackupWorld
from marketplace_backups import Backup, arriving, file_digest, kinds, log_files
from marketplace_barman import size_of
from marketplace_dump import due, dump_bytes, half_of, take_dump
from marketplace_house import take_house
from marketplace_progress import Progress
from marketplace_units import amount

# A base backup and its log may take this long; one of 5 GB takes minutes.
LONGEST_SECONDS = 6 * 3600.0
# The log of a backup is there within moments, or there is something wrong with the receiver.
LOG_SECONDS = 120.0
# What is younger may be an archive that gets its record in a moment.
BEING_MADE = timedelta(hours=1)


def create(world: BackupWorld, settings: dict[str, Any], progress: Progress, by: str) -> dict[str, Any]:
    """Take a backup of everything, look it through, and let go of what is older than asked for.

    One part that fails does not keep the others from being taken.

    Returns:
        ``outcome`` (``good`` or ``failed``), ``reason``, ``steps`` (each with ``name``, ``seconds``, ``outcome`` and
        ``detail``), ``backups`` (rows of what was taken).

    Raises:
        LockHeld: somebody is at the backups already.
    """
    with world.lock.held(by, "backup.create"):
        begun = world.clock.now()
        run, wanted = _Run(world, settings, progress), kinds(settings)
        if "postgres" in wanted:
            run.steps.all(("receiver", run.receiver), ("room", run.room), ("database", run.database))
        for name, action, needed in (
            ("dump", run.dump, True),
            ("cache", run.cache, "redis" in wanted),
            ("house", run.house, True),
            ("verify", run.verify, True),
            ("prune", run.prune, True),
        ):
            if needed:
                run.steps.attempt(name, action)
        reason = run.steps.reason
        if reason:
            world.spool.try_emit("backup.failed", "critical", f"backup by {by} failed: {reason}", {"by": by})
        return {
            "outcome": "failed" if reason else "good",
            "reason": reason,
            "seconds": round((world.clock.now() - begun).total_seconds(), 1),
            "steps": run.steps.done,
            "backups": [backup.row(WHERE) for backup in run.taken],
        }


class _Run:
    """One run, and what it has come to so far."""

    def __init__(self, world: BackupWorld, settings: dict[str, Any], progress: Progress) -> None:
        self.world, self.settings, self.progress = world, settings, progress
        self.steps = Steps(progress)
        self.taken: list[Backup] = []
        self.space = Room(world, settings, self._delete, self._clear)

    def receiver(self) -> str:
        """A backup without its log is worth nothing."""
        world = self.world
        world.barman.end()
        found = world.receiver.look()
        if found.lost:
            world.receiver.start_over()
            world.spool.try_emit(
                "backup.log_lost",
                "critical",
                "the receiver was away for too long: between the backups before and the next one nothing can be "
                "restored; a new backup is being taken",
            )
        if not world.clock.wait_until(lambda: world.receiver.look().active, timeout=30):
            raise BackupError(
                f"nobody receives the database's log; see: systemctl status {world.receiver.unit}"
            )
        if not any(log_files(world.barman.directory)):
            self._first_segment()
        return "started over: the log had been lost" if found.lost else "the log is received"

    def _first_segment(self) -> None:
        """Barman takes no base backup before there is some of the log."""
        world = self.world
        world.receiver.finish_segment()

        def there() -> bool:
            world.barman.put_away()
            return any(log_files(world.barman.directory))

        if not world.clock.wait_until(there, timeout=LOG_SECONDS, interval=0.5):
            raise BackupError(
                f"no log came within {LOG_SECONDS:.0f} s; see: journalctl -u {world.receiver.unit}"
            )

    def room(self) -> str:
        """Room for the next base backup."""
        return self.space.base(as_before(self.world, "postgres") or half_of(self.world, self.settings))

    def database(self) -> str:
        """The files of the database, and its log up to their end."""
        world, home = self.world, self.world.barman.directory / "base"
        already, begun = size_of(home), time.monotonic()

        def look() -> None:
            done = max(0, size_of(home) - already)
            self.progress.update(f"{amount(done)}, {amount(done / (time.monotonic() - begun))}/s")

        identity = world.barman.take(LONGEST_SECONDS, look)
        seconds = max(0.1, time.monotonic() - begun)
        self.progress.update("waiting for the end of its log")
        world.receiver.finish_segment()

        def complete() -> bool:
            world.barman.put_away()
            return world.barman.complete(identity)

        if not world.clock.wait_until(complete, timeout=LOG_SECONDS, interval=0.5):
            raise BackupError(
                f"the log that base backup {identity} needs did not come within {LOG_SECONDS:.0f} s; "
                f"see: journalctl -u {world.receiver.unit}"
            )
        base = world.barman.base(identity)
        recorded = self._record(
            Backup(
                kind="postgres",
                id=identity,
                started=base.started,
                ended=base.ended,
                bytes=base.bytes,
                files={
                    str(file.relative_to(world.paths.backups)): file_digest(file)
                    for file in world.barman.files(identity)
                },
                facts={"begin": base.begin, "end": base.end, "cluster": base.cluster},
            )
        )
        return f"{recorded}, {amount(base.bytes / seconds)}/s"

    def dump(self) -> str:
        """Once a week, what another major version can read; at a provider's, each time."""
        if not due(self.world, self.settings):
            return "of this week"
        self.space.other(dump_bytes(self.world, self.settings))
        return self._record(take_dump(self.world, self.settings))

    def cache(self) -> str:
        """The cache's snapshot: Redis's own file is copied, and then compressed."""
        file = self.world.paths.root / SNAPSHOT
        self.space.other(2 * file.stat().st_size if file.exists() else 0)
        return self._record(take_snapshot(self.world, self.settings))

    def house(self) -> str:
        """Settings, secrets, certificates and ledger."""
        self.space.other(as_before(self.world, "house"))
        return self._record(take_house(self.world))

    def verify(self) -> str:
        """What was just taken, and all that there was before."""
        found = inspect(self.world, self.progress)
        if found["problems"]:
            raise BackupError("; ".join(found["problems"]))
        for words in found["past"]:
            # Told once: there is nothing to be done about it but to know.
            digest = hashlib.sha256(words.encode()).hexdigest()
            self.world.spool.try_emit("backup.gap", "warning", words, subject=f"{int(digest[:12], 16)}")
        whole = f"{found['backups']} backups and {found['segments']} log segments are whole"
        return f"{whole}; {'; '.join(found['past'])}" if found["past"] else whole

    def prune(self) -> str:
        """Let go of what is older than asked for, and of what was never completed."""
        world = self.world
        gone = self.space.let_old_go()
        if not self.settings["backup"]["storage"]["target"]:
            # No copy has to be told.
            for backup in world.catalogue.let_go():
                world.catalogue.settle(backup)
        half = self._clear()
        words = f"{gone} older than {self.settings['backup']['keep_days']} days let go of"
        return f"{words}, {half} that never got done" if half else words

    def _clear(self) -> int:
        """Delete what was never completed; how much that was.

        Raises:
            BackupError: backup.fetch was cut off, and nobody can tell what is to be completed yet.
        """
        world = self.world
        if arriving(world.paths.backups).exists():
            raise BackupError(
                "bringing back the copy was interrupted, and what has come without its record would be thrown away: "
                "backup.fetch goes on"
            )
        # Of a database that is at a provider now there may be base backups of before: those are kept.
        known = {backup.id for backup in world.catalogue.of("postgres")}
        bases = world.barman.bases() if "postgres" in kinds(self.settings) else []
        # Where no record is left at all, those that are complete may be all that there is.
        half = [base.id for base in bases if base.id not in known and (known or not base.done)]
        for identity in half:
            world.barman.discard(identity)
        stray = _strays(world)
        for file in stray:
            file.unlink()
        return len(half) + len(stray)

    def _record(self, backup: Backup) -> str:
        self.world.catalogue.add(backup)
        self.taken.append(backup)
        return f"{backup.id}: {amount(backup.bytes)}"

    def _delete(self, backup: Backup) -> None:
        self.world.catalogue.forget(backup)
        if backup.kind == "postgres":
            self.world.barman.delete(backup.id)
        else:
            for name in backup.files:
                (self.world.paths.backups / name).unlink(missing_ok=True)


def _strays(world: BackupWorld) -> list[Path]:
    """Files of snapshots and archives that no record knows, nor will: shipping makes archives beside us."""
    before = (world.clock.now() - BEING_MADE).timestamp()
    known = {name for backup in world.catalogue.all() for name in backup.files}
    places = [world.paths.backups / name for name in ("dump", "redis", "house")]
    files = [file for place in places if place.is_dir() for file in sorted(place.iterdir())]
    return [
        file
        for file in files
        if str(file.relative_to(world.paths.backups)) not in known and _changed(file) < before
    ]


def _changed(file: Path) -> float:
    """When a file was changed last; one that has gone meanwhile is not to be deleted."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return math.inf
