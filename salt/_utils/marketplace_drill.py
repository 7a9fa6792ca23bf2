"""The drill: the newest backup is restored beside the live database, and has to hold just what that holds."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from marketplace_backup_steps import Steps
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, log_below, passed_over
from marketplace_barman import OWNER
from marketplace_census import Census, census, marked
from marketplace_docker import confined
from marketplace_drills import Drills
from marketplace_dump_server import DumpServer, choose_dump
from marketplace_last_words import last_words
from marketplace_managed import is_managed
from marketplace_progress import Progress
from marketplace_recovery import INSIDE, Recovery, Target, choose
from marketplace_units import amount

CONTAINER = "postgres-drill"
# What is written reaches the receiver within a second; the bound is SC-009's.
RECEIVED_SECONDS = 60.0
CHECK_SECONDS = 3600.0


def drill(world: BackupWorld, settings: dict[str, Any], progress: Progress, by: str) -> dict[str, Any]:
    """Restore the newest backup into a scratch server, compare it with the live one, and throw it away.

    Returns:
        The record: ``outcome`` (``passed`` or ``failed``), ``reason``, ``time``, ``rpo_seconds`` (after which what is
        written is in the backups), ``rto_seconds`` (from the order to a server that answers), ``bytes``, ``tables``,
        ``rows``, ``base``, ``passed_over`` (newer backups that are not good, in words), ``steps``.

    Raises:
        LockHeld: somebody is at the backups already.
    """
    with world.lock.held(by, "backup.drill"):
        run = (_DumpRun if is_managed(settings, "postgres") else _Run)(world, settings, progress)
        try:
            run.steps.all(*run.actions())
        finally:
            run.recovery.discard()
        record = run.record(by)
        Drills(world.paths.backups / "drills").add(record)
        if record["outcome"] != "passed":
            world.spool.try_emit(
                "backup.drill_failed", "critical", f"backup.drill failed: {record['reason']}"
            )
        return record


def drill_recovery(world: BackupWorld, settings: dict[str, Any]) -> Recovery:
    """The drill's server, whether it is there or not."""
    return Recovery(world, settings, world.paths.backups / "drill", user=OWNER, name=CONTAINER, durable=False)


class _Run:
    """One drill, and what is known of it so far."""

    def __init__(self, world: BackupWorld, settings: dict[str, Any], progress: Progress) -> None:
        self.world, self.settings, self.progress = world, settings, progress
        self.steps = Steps(progress)
        self.begun = world.clock.now()
        self.point = ""
        self.recovery = drill_recovery(world, settings)
        self.base: Backup | None = None
        self.passed_over = ""
        self.expected = Census({}, ())
        self.bytes = 0
        self.rpo: float | None = None
        self.rto: float | None = None
        self.ordered = 0.0

    def actions(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        """What is done, in order."""
        return (
            ("mark", self.mark),
            ("unpack", self.unpack),
            ("files", self.files),
            ("replay", self.replay),
            ("compare", self.compare),
            ("check", self.check),
        )

    def mark(self) -> str:
        """Know what has to be there, and see it arrive in the backups."""
        world = self.world
        name = self.settings["postgres"]["database"]
        self.point, self.expected = marked(world.database, name, f"drill_{self.begun:%Y%m%dT%H%M%S}")
        # Another one behind the counting, which may take minutes, in which gigabytes are written.
        counted = f"{self.point}_counted"
        file = world.receiver.end_with(counted)
        written = world.clock.monotonic()
        if not world.clock.wait_until(
            lambda: world.receiver.has(file, counted), timeout=RECEIVED_SECONDS, interval=0.1
        ):
            raise BackupError(
                f"what was written {RECEIVED_SECONDS:.0f} s ago is not in the backups; "
                f"see: systemctl status {world.receiver.unit}"
            )
        self.rpo = round(world.clock.monotonic() - written, 1)
        rows = sum(self.expected.rows.values())
        return f"{len(self.expected.rows)} tables, {rows} rows; in the backups after {self.rpo:.1f} s"

    def unpack(self) -> str:
        """The files of the newest backup, where there is room for them beside the backups."""
        self.ordered = self.world.clock.monotonic()
        self.world.barman.end()
        self.world.barman.put_away()
        histories = log_below(self.world.barman.directory).histories
        bases = self.world.catalogue.of("postgres")
        self.base = choose(bases, Target(), histories, self.begun)
        self.passed_over = passed_over(bases, self.base)
        self.recovery.room(self.base, passing=True)
        said = f"base backup {self.base.id}: {self.recovery.unpack(self.base, self.progress)}"
        return "; ".join(filter(None, (said, self.passed_over)))

    def files(self) -> str:
        """Each file as PostgreSQL itself wrote it down in the backup's manifest, before anything touches it."""
        manifests = sorted(self.recovery.directory.glob("backup_manifest*"))
        if not manifests:
            raise BackupError("the base backup has no manifest")
        ignored = ("barman_wal", "recovery.signal", ".barman-recover.info", "pg_wal", "tablespace_map")
        done = self.world.docker.run_once(
            [
                "--rm", *confined(OWNER, 16), "--log-driver=none", "--cpu-shares=256",
                f"--volume={self.recovery.directory}:{INSIDE}:ro", "--entrypoint=pg_verifybackup",
                self.settings["postgres"]["reference"], "--no-parse-wal", "--quiet",
                f"--manifest-path={INSIDE}/{manifests[0].name}",
                *(f"--ignore={name}" for name in (*ignored, *(path.name for path in manifests))), INSIDE,
            ],
            timeout=CHECK_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            raise BackupError(f"pg_verifybackup: {last_words(done.stdout + done.stderr)}")
        return "each as its manifest says"

    def replay(self) -> str:
        """The log as far as the mark."""
        target = Target(point=self.point)
        self.recovery.start(target)
        said = self.recovery.wait_open(target, self.progress)
        self.rto = round(self.world.clock.monotonic() - self.ordered, 1)
        return f"{said}; open {self.rto:.1f} s after the order"

    def compare(self) -> str:
        """Row for row what was counted at the mark."""
        name = self.settings["postgres"]["database"]
        self.bytes = self.recovery.database.size(name)
        differences = self.expected.differences(census(self.recovery.database, name))
        if differences:
            raise BackupError("; ".join(differences))
        heads = ", ".join(self.expected.heads) or "none"
        return f"rows as expected in {len(self.expected.rows)} tables, schema {heads}"

    def check(self) -> str:
        """PostgreSQL's own look into every table and index."""
        done = self.world.docker.exec_in(
            CONTAINER,
            [
                "pg_amcheck",
                "-U",
                "postgres",
                "--install-missing",
                "-d",
                self.settings["postgres"]["database"],
            ],
            timeout=CHECK_SECONDS,
        )
        if done.returncode != 0:
            raise BackupError(f"pg_amcheck: {last_words(done.stdout + done.stderr)}")
        return "pg_amcheck finds nothing"

    def record(self, by: str) -> dict[str, Any]:
        """What is kept of it."""
        reason = self.steps.reason
        return {
            "id": f"{self.begun:%Y%m%dT%H%M%S}",
            "time": self.begun.isoformat(timespec="seconds"),
            "outcome": "failed" if reason else "passed",
            "reason": reason,
            "by": by,
            "base": self.base.id if self.base else None,
            "passed_over": self.passed_over,
            "rpo_seconds": self.rpo,
            "rto_seconds": self.rto,
            "bytes": self.bytes,
            "size": amount(self.bytes),
            "tables": len(self.expected.rows),
            "rows": sum(self.expected.rows.values()),
            "seconds": round((self.world.clock.now() - self.begun).total_seconds(), 1),
            "steps": self.steps.done,
        }


class _DumpRun(_Run):
    """One drill of the newest dump: all that there is here of a database at a provider."""

    def __init__(self, world: BackupWorld, settings: dict[str, Any], progress: Progress) -> None:
        super().__init__(world, settings, progress)
        self.server = DumpServer(
            world, settings, world.paths.backups / "drill", user=OWNER, name=CONTAINER, durable=False
        )
        self.recovery = self.server

    def actions(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("files", self.files),
            ("restore", self.restore),
            ("compare", self.compare),
            ("check", self.check),
        )

    def files(self) -> str:
        """The newest dump, as it was recorded."""
        self.ordered = self.world.clock.monotonic()
        dumps = [dump for dump in self.world.catalogue.of("dump") if dump.of_now(self.settings)]
        self.base = choose_dump(dumps, self.settings, None, self.begun)
        self.passed_over = passed_over(dumps, self.base)
        self.expected = Census(dict(self.base.facts["rows"]), tuple(self.base.facts["heads"]))
        self.rpo = round((self.begun - datetime.fromisoformat(self.base.started)).total_seconds(), 1)
        changed = self.world.catalogue.changed(self.base)
        if changed:
            raise BackupError("; ".join(changed))
        said = f"dump {self.base.id}, {self.rpo / 3600:.1f} h old, is as it was taken"
        return "; ".join(filter(None, (said, self.passed_over)))

    def restore(self) -> str:
        """A server of its own, and the dump in it."""
        if self.base is None:
            raise BackupError("there is no dump")
        said = self.server.load(self.base, passing=True)
        self.rto = round(self.world.clock.monotonic() - self.ordered, 1)
        return f"{said}; {self.rto:.1f} s after the order"
