"""Restoring the database in its place.

Everything is made ready beside the old data directory, on the same file system; the two change names in one instant;
the old one stays aside until somebody confirms. What was begun is written down first, so that a restore that was killed
at any point is taken up again by the next one, or given up while the restored server has not come up.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_census import census
from marketplace_database import MAJOR
from marketplace_durable import exchange, fsync_directory, to_json
from marketplace_progress import Progress
from marketplace_recovery import Recovery, Target, choose_now
from marketplace_restore import Restore
from marketplace_restore_aside import database_directory
from marketplace_restore_begun import interrupted, taken_up, unfinished

LIVE = "postgres-restore"
# A server that was stopped cleanly is up within seconds; one that was not replays its log first.
START_SECONDS = 600.0
# Between the two: everything before can simply be done again.
MARK = "restored"


def restore_live(
    world: BackupWorld, settings: dict[str, Any], target: Target, progress: Progress, by: str
) -> dict[str, Any]:
    """Put the database of a backup in the live one's place. Nobody writes meanwhile: the caller has seen to that.

    A restore that was interrupted is taken up again by the same target.

    Returns:
        As :func:`marketplace_restore.restore_scratch`; ``aside`` (the old data directory) instead of ``container``;
        what to do ``next`` where it is not finished.

    Raises:
        LockHeld: somebody is at the backups already.
        BackupError: a restore to another target is not finished.
    """
    with world.lock.held(by, "backup.restore to=live"):
        begun = world.clock.monotonic()
        run = _LiveRestore.begun(world, settings, target, progress, by)
        run.perform()
        aside = str(run.aside) if run.aside.exists() else None
        return run.answer(begun) | {"aside": aside} | _left(world)


def undo_live(world: BackupWorld, settings: dict[str, Any], progress: Progress, by: str) -> dict[str, Any]:
    """Give up a restore in the live database's place that is not finished: the old data are live again.

    Killed at any point, it is taken up again by the same call; a restore to the same target would go on instead.

    Returns:
        ``outcome`` (``undone`` or ``failed``), ``reason``, ``steps``, ``seconds``; what to do ``next`` where it is
        still to be given up.

    Raises:
        LockHeld: somebody is at the backups already.
        BackupError: there is nothing to give up, or the restored server has come up.
    """
    with world.lock.held(by, "backup.restore to=live undo=True"):
        begun = world.clock.monotonic()
        run = _given_up(world, settings, progress)
        run.steps.all(("back", run.back), ("start", run.start_old))
        reason = run.steps.reason
        return {
            "outcome": "failed" if reason else "undone",
            "reason": reason,
            "steps": run.steps.done,
            "seconds": round(world.clock.monotonic() - begun, 1),
        } | _left(world)


def refuse_restore(world: BackupWorld, target: Target) -> None:
    """Refuse what :func:`restore_live` would be asked for in vain, as far as that can be told while all still runs.

    Raises:
        BackupError: a restore to another target is not finished, or no backup leads to this one.
    """
    if _unfinished_to(world, target) is None:
        choose_now(world, target, world.clock.now())


def refuse_undo(world: BackupWorld, settings: dict[str, Any]) -> None:
    """Refuse what :func:`undo_live` would be asked for in vain, likewise.

    Raises:
        BackupError: there is nothing to give up, or the restored server has come up.
    """
    _given_up(world, settings, Progress())


class FirstRestore:
    """The database of a backup where no server has been yet: a rebuilt droplet's.

    Args:
        world: what backups touch.
        settings: the effective settings.
        target: where replaying ends.
        progress: told meanwhile.
    """

    def __init__(
        self, world: BackupWorld, settings: dict[str, Any], target: Target, progress: Progress
    ) -> None:
        self._restore = _LiveRestore(world, settings, target, progress, "rebuild")

    @property
    def is_needless(self) -> bool:
        """Whether there are data already: the volume outlived its droplet."""
        return (self._restore.live / "PG_VERSION").exists()

    def perform(self, about_to_place: Callable[[], None]) -> str:
        """All of it; in words, how it went.

        Args:
            about_to_place: called when all is found, before the data get their name; from then on they may be there.

        Raises:
            One of ``marketplace_backup_steps.FAILURES``; nothing is left of it then.
        """
        restore = self._restore
        try:
            said = [restore.unpack(), restore.replay(), restore.count()]
            restore.seal()
            about_to_place()
            restore.place()
        except BaseException:
            restore.recovery.discard()
            raise
        return "; ".join(said)

    @property
    def found(self) -> dict[str, Any]:
        """``rows`` by table, ``schema``, ``base``, ``until`` and ``notes``, as far as they are known."""
        restore = self._restore
        return {
            "base": restore.base.id if restore.base else None,
            "until": restore.target.words,
            "notes": restore.recovery.notes,
            **restore.found,
        }


def _left(world: BackupWorld) -> dict[str, Any]:
    entry = unfinished(world.paths)
    return {"next": [interrupted(entry)]} if entry else {}


def _unfinished_to(world: BackupWorld, target: Target) -> dict[str, Any] | None:
    """The restore to a target that is not finished, None where there is none; one to another is refused."""
    entry = unfinished(world.paths)
    if entry is not None and _target(entry) != target:
        raise BackupError(f"{target.words} is another target than was begun with: {interrupted(entry)}")
    return entry


def _given_up(world: BackupWorld, settings: dict[str, Any], progress: Progress) -> "_LiveRestore":
    """The restore that is to be given up; refused where there is none, or it has come up."""
    entry = unfinished(world.paths)
    if entry is None:
        raise BackupError("no restore in the database's place is unfinished: there is nothing to give up")
    run = _LiveRestore.of(world, settings, progress, entry)
    # Whoever started it: a restore that was killed before it could note that, or a boot.
    if entry.get("came_up") or (run.is_swapped() and world.docker.is_well("postgres")):
        raise BackupError(
            "PostgreSQL has come up on the restored data, whose log goes another way: "
            f"{taken_up(entry)} ends it; from then on another restore brings another time"
        )
    return run


def _target(entry: Mapping[str, Any]) -> Target:
    return Target(time=datetime.fromisoformat(entry["time"]) if entry["time"] else None)


class _LiveRestore(Restore):
    """A restore that takes the live database's place; ``identity`` names it in the journal and in the directory."""

    def __init__(
        self,
        world: BackupWorld,
        settings: dict[str, Any],
        target: Target,
        progress: Progress,
        identity: str,
    ) -> None:
        recovery = Recovery(
            world,
            settings,
            database_directory(world) / f"{MAJOR}.restoring",
            user=settings["postgres"]["user"],
            name=LIVE,
            durable=True,
        )
        super().__init__(world, settings, target, progress, recovery)
        self.identity = identity
        self.live = database_directory(world) / str(MAJOR)

    @classmethod
    def begun(
        cls, world: BackupWorld, settings: dict[str, Any], target: Target, progress: Progress, by: str
    ) -> "_LiveRestore":
        """The restore that is in the journal, or a new one, which is written there."""
        entry = _unfinished_to(world, target)
        if entry is None:
            now = world.clock.now()
            entry = {
                "id": f"{now:%Y%m%dT%H%M%S}",
                "by": by,
                "started": now.isoformat(timespec="seconds"),
                "time": target.time.isoformat() if target.time else None,
            }
            world.catalogue.disk.write(world.paths.restore, to_json(entry))
            return cls.of(world, settings, progress, entry)
        progress.say(f"taking up the restore that {entry['by']} began at {entry['started']}")
        return cls.of(world, settings, progress, entry)

    @classmethod
    def of(
        cls, world: BackupWorld, settings: dict[str, Any], progress: Progress, entry: Mapping[str, Any]
    ) -> "_LiveRestore":
        """The restore that a journal's entry speaks of."""
        return cls(world, settings, _target(entry), progress, entry["id"])

    @property
    def aside(self) -> Path:
        return database_directory(self.world) / f"{MAJOR}.before-{self.identity}"

    def perform(self) -> None:
        """All of it, or what is left of it."""
        if self.is_swapped():
            self.steps.attempt("unpack", lambda: "was done before the interruption")
        elif not self.make_ready() or not self.steps.attempt("seal", self.seal):
            # Nothing live was touched: there is nothing to take up again.
            self.recovery.discard()
            self.world.catalogue.disk.remove(self.world.paths.restore)
            return
        self.steps.all(
            ("swap", self.swap), ("start", self.start), ("receiver", self.receiver), ("end", self.end)
        )

    def seal(self) -> str:
        """Stop the server that replayed, and mark its directory as this restore's, durably."""
        self.recovery.finish()
        (self.recovery.directory / MARK).write_text(self.identity)
        for place, _, names in os.walk(self.recovery.directory):
            for name in (*names, "."):
                descriptor = os.open(Path(place) / name, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        return "stopped cleanly"

    def swap(self) -> str:
        """Stop the live server, and have the directories change names in one instant."""
        self._stop()
        # Until it is certain that the restored data stay, their log is not received: it would lead away from the old.
        self.world.receiver.stop()
        if not self.is_swapped():
            if self.live.exists():
                exchange(self.recovery.directory, self.live)
            else:
                self.recovery.directory.rename(self.live)
            fsync_directory(self.live.parent)
        if self.recovery.directory.exists():
            self.recovery.directory.rename(self.aside)
            fsync_directory(self.live.parent)
        return f"the old data are in {self.aside}" if self.aside.exists() else "there were no old data"

    def place(self) -> None:
        """Give the restored data their name, where there were none."""
        shutil.rmtree(self.recovery.configuration, ignore_errors=True)
        (self.recovery.directory / MARK).unlink()
        self.recovery.directory.rename(self.live)
        fsync_directory(self.live.parent)

    def start(self) -> str:
        """The live server, on the restored data."""
        self.world.docker.start("postgres")

        if not self.world.clock.wait_until(
            lambda: self.world.docker.is_well("postgres"), timeout=START_SECONDS, interval=0.5
        ):
            raise BackupError(
                "PostgreSQL does not come up on the restored data; see: deploy.logs service=postgres"
            )
        name = self.settings["postgres"]["database"]
        found = census(self.world.database, name)
        self.found = {"rows": found.rows, "schema": list(found.heads)}
        return f"PostgreSQL answers: {sum(found.rows.values())} rows in {name}"

    def receiver(self) -> str:
        """The log goes another way from here on: receive that one."""
        entry = unfinished(self.world.paths) or {}
        self.world.catalogue.disk.write(self.world.paths.restore, to_json(entry | {"came_up": True}))
        self.world.receiver.start_over()
        if not self.world.clock.wait_until(lambda: self.world.receiver.look().active, timeout=60):
            raise BackupError(f"nobody receives the log; see: systemctl status {self.world.receiver.unit}")
        return "the log of the restored database is received"

    def end(self) -> str:
        """Nothing is left to take up again."""
        shutil.rmtree(self.recovery.configuration, ignore_errors=True)
        # In this order: an entry whose mark is gone would be restored once more.
        self.world.catalogue.disk.remove(self.world.paths.restore)
        (self.live / MARK).unlink(missing_ok=True)
        return "backup.create has yet to take a backup of it"

    def back(self) -> str:
        """The old data in their place again, by the way on which they went; nothing is left of the restored ones."""
        if self.is_swapped():
            self._stop()
            if self.aside.exists():
                self.aside.rename(self.recovery.directory)
                fsync_directory(self.live.parent)
            if self.recovery.directory.exists():
                exchange(self.recovery.directory, self.live)
            else:
                self.live.rename(self.recovery.directory)
                fsync_directory(self.live.parent)
        self.recovery.discard()
        if not self.live.exists():
            return "there were no old data: PostgreSQL stays stopped until something is restored"
        return f"the old data are in {self.live} again"

    def start_old(self) -> str:
        """The live server, on the old data, and the receiver of its log."""
        # It tries again for as long as the server is away.
        self.world.receiver.start()
        if self.live.exists():
            self.world.docker.start("postgres")
        # Whatever is killed before is taken up again; whether they are any good is no part of it.
        self.world.catalogue.disk.remove(self.world.paths.restore)
        if not self.live.exists():
            return "there is nothing to start on"
        if not self.world.clock.wait_until(
            lambda: self.world.docker.is_well("postgres"), timeout=START_SECONDS, interval=0.5
        ):
            raise BackupError(
                "PostgreSQL does not come up on the old data either (deploy.logs service=postgres): "
                "backup.restore to=live time=... restores again"
            )
        return "PostgreSQL answers"

    def _stop(self) -> None:
        self.world.docker.stop("postgres", grace=self.settings["postgres"]["stop_grace"])

    def is_swapped(self) -> bool:
        """Whether the restored data have the live ones' name."""
        try:
            return (self.live / MARK).read_text() == self.identity
        except OSError:
            return False
