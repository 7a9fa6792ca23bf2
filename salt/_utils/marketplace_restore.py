"""Restoring the database into a server beside the live one, to look into; its steps serve the live place as well."""

import contextlib
from typing import Any

from marketplace_backup_steps import Steps
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup
from marketplace_barman import OWNER
from marketplace_census import census
from marketplace_drill import drill_recovery
from marketplace_dump_server import DumpServer, choose_dump
from marketplace_lock import LockHeld
from marketplace_managed import is_managed
from marketplace_progress import Progress
from marketplace_recovery import Recovery, Target, choose_now
from marketplace_units import amount

SCRATCH = "postgres-scratch"


def restore_scratch(
    world: BackupWorld, settings: dict[str, Any], target: Target, progress: Progress, by: str
) -> dict[str, Any]:
    """Restore into a server beside the live one, and leave it running, for somebody to look into.

    Returns:
        ``outcome`` (``restored`` or ``failed``), ``reason``, ``base``, ``until`` (the target in words), ``rows`` by
        table, ``schema``, ``container``, ``notes``, ``steps``, ``seconds``.

    Raises:
        LockHeld: somebody is at the backups already.
    """
    with world.lock.held(by, "backup.restore to=scratch"):
        begun = world.clock.monotonic()
        if is_managed(settings, "postgres"):
            server = DumpServer(
                world, settings, world.paths.backups / "scratch", user=OWNER, name=SCRATCH, durable=False
            )
            recovery: Recovery = server
            run: Restore = _DumpRestore(world, settings, target, progress, server)
        else:
            recovery = scratch(world, settings)
            run = Restore(world, settings, target, progress, recovery)
        if not run.make_ready():
            recovery.discard()
        return run.answer(begun) | ({} if run.steps.reason else {"container": SCRATCH})


def scratch(world: BackupWorld, settings: dict[str, Any]) -> Recovery:
    """The scratch server, whether it is there or not."""
    return Recovery(world, settings, world.paths.backups / "scratch", user=OWNER, name=SCRATCH, durable=False)


def tidy(world: BackupWorld, settings: dict[str, Any]) -> None:
    """Throw away what a drill that was killed has left running; harmless while one runs, for that holds the lock."""
    with contextlib.suppress(LockHeld), world.lock.held("backup.check", "clearing up"):
        left = drill_recovery(world, settings)
        if left.exists():
            world.barman.end()
            left.discard()


class Restore:
    """One restore, up to a server that answers."""

    def __init__(
        self,
        world: BackupWorld,
        settings: dict[str, Any],
        target: Target,
        progress: Progress,
        recovery: Recovery,
    ) -> None:
        self.world, self.settings, self.target = world, settings, target
        self.progress, self.recovery = progress, recovery
        self.steps = Steps(progress)
        self.base: Backup | None = None
        self.found: dict[str, Any] = {}

    def make_ready(self) -> bool:
        """A server of its own, open at the target; whether that went well."""
        return self.steps.all(("unpack", self.unpack), ("replay", self.replay), ("count", self.count))

    def unpack(self) -> str:
        """The files of the base backup, and the log."""
        world = self.world
        world.barman.end()
        world.barman.put_away()
        self.base = choose_now(world, self.target, world.clock.now())
        self.recovery.discard()
        self.recovery.room(self.base)
        return f"base backup {self.base.id}: {self.recovery.unpack(self.base, self.progress)}"

    def replay(self) -> str:
        """The log."""
        self.recovery.start(self.target)
        said = self.recovery.wait_open(self.target, self.progress)
        return "; ".join([f"{said}, up to {self.target.words}", *self.recovery.notes])

    def count(self) -> str:
        """What is there, for people to judge."""
        found = census(self.recovery.database, self.settings["postgres"]["database"])
        self.found = {"rows": found.rows, "schema": list(found.heads)}
        size = amount(self.recovery.database.size(self.settings["postgres"]["database"]))
        heads = ", ".join(found.heads) or "none"
        return f"{len(found.rows)} tables, {sum(found.rows.values())} rows, {size}, schema {heads}"

    def answer(self, begun: float) -> dict[str, Any]:
        """What the caller is told."""
        reason = self.steps.reason
        return {
            "outcome": "failed" if reason else "restored",
            "reason": reason,
            "base": self.base.id if self.base else None,
            "until": self.target.words,
            **self.found,
            "notes": self.recovery.notes,
            "seconds": round(self.world.clock.monotonic() - begun, 1),
            "steps": self.steps.done,
        }


class _DumpRestore(Restore):
    """One restore of a dump: all that there is here of a database at a provider."""

    def __init__(
        self,
        world: BackupWorld,
        settings: dict[str, Any],
        target: Target,
        progress: Progress,
        server: DumpServer,
    ) -> None:
        super().__init__(world, settings, target, progress, server)
        self.server = server

    def make_ready(self) -> bool:
        return self.steps.all(("restore", self.restore), ("count", self.count))

    def restore(self) -> str:
        """The newest dump that is not younger than the target."""
        self.base = choose_dump(
            self.world.catalogue.of("dump"), self.settings, self.target.time, self.world.clock.now()
        )
        changed = self.world.catalogue.changed(self.base)
        if changed:
            raise BackupError("; ".join(changed))
        self.recovery.notes.append(
            f"the database is at a provider: this is the dump of {self.base.taken.isoformat(timespec='seconds')}; any "
            "second between is in the provider's own backups"
        )
        return self.server.load(self.base)
