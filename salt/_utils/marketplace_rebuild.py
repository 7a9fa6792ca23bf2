"""A lost droplet, from the copy of its backups: what state.apply does not make by itself comes back before it does.

Each step can be done again, and those that are done are written down: a rebuild that was killed is taken up again by
the same command. Nothing serves before the last one: the edge stays closed, and updates wait at Telegram.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketplace_backup_snapshot import SNAPSHOT, place_snapshot
from marketplace_backup_steps import Steps
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Catalogue
from marketplace_container import DockerError
from marketplace_durable import read_json
from marketplace_edge import Edge, EdgeError, maintenance_lines
from marketplace_fetch import fetch
from marketplace_formula_inputs import formula_inputs
from marketplace_house import open_house, read_house
from marketplace_key import was_kept
from marketplace_ledger import LedgerError
from marketplace_lock import Lock, LockHeld
from marketplace_managed import NAMES, is_managed, place
from marketplace_progress import Progress
from marketplace_rebuild_journal import RebuildJournal
from marketplace_recovery import Target
from marketplace_restore_cache import choose_snapshot
from marketplace_restore_live import FirstRestore
from marketplace_retention import keep_name, pinned
from marketplace_salt import SaltCallError, apply, function
from marketplace_ship import take_over, was_fetched
from marketplace_vault import Vault
from marketplace_volume import Marks
from marketplace_world import World

# The host, and what a restore needs of the rest: Docker and its login, Barman, the file systems.
GROUND = ("role.base", "marketplace.secrets")
LOG = "barman"
# Also where it is done: a file system that turned out to be too small grows by it, and by nothing else before the end.
AGAIN = "ground"
# A nightly backup, a drill.
BUSY_SECONDS = 1800.0
# The operator's own files of today are not replaced by those of yesterday.
KEPT = ("srv/deploy/pillar/local",)


class Rebuild:
    """One rebuild of this droplet.

    Args:
        world: what backups touch.
        vault: the copy.
        environment: what this droplet is to be.
        target: how far the database's log is replayed.
        progress: told meanwhile.
        by: who asks.
    """

    def __init__(
        self, world: BackupWorld, vault: Vault, environment: str, target: Target, progress: Progress, by: str
    ) -> None:
        self.world, self.vault, self.environment, self.target = world, vault, environment, target
        self.progress, self.by = progress, by
        self.steps = Steps(progress)
        until = target.time.isoformat() if target.time else None
        self.journal = RebuildJournal(world, vault.place, until, by)

    def perform(self) -> dict[str, Any]:
        """All of it, or what is left of it.

        Returns:
            ``outcome`` (``rebuilt`` or ``failed``), ``reason``, ``version`` and ``release`` that are live, ``rows`` by
            table, ``schema``, ``base``, ``until``, ``notes``, ``steps``, ``seconds`` and what to do ``next``.

        Raises:
            BackupError: this droplet is no fresh one.
            LockHeld: it is being rebuilt already.
        """
        with Lock(self.world.paths.rebuild_lock, "rebuild", "wait for it").held(self.by, "rebuild"):
            begun = self.world.clock.monotonic()
            self.journal.take_up(self.progress)
            went_well = all(
                (name in self.journal.done and name != AGAIN) or self._do(name, action)
                for name, action in self._actions()
            )
            if went_well:
                self._end()
            answer = self._answer(went_well)
            return answer | {"seconds": round(self.world.clock.monotonic() - begun, 1)}

    def _actions(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("archive", self.archive),
            ("ground", self.ground),
            ("fetch", self.fetch),
            ("database", self.database),
            ("cache", self.cache),
            ("images", self.images),
            ("converge", apply),
            ("backup", self.backup),
            ("open", self.open),
        )

    def archive(self) -> str:
        """Settings, secrets, certificates and ledger, from the newest archive that is whole.

        Raises:
            BackupError: there is none, it is another environment's, or it can't be unpacked.
        """
        place = self.world.paths.state / "rebuild"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            wanted = ("house/", "records/house-")
            self.vault.get(place, [name for name in self.vault.names() if name.startswith(wanted)])
            catalogue = Catalogue(place)
            whole = [backup for backup in catalogue.of("house") if not catalogue.changed(backup)]
            if not whole:
                raise BackupError(
                    f"there is no whole archive of settings, secrets and ledger in {self.vault.target}: is that the "
                    "right place? (s3:BUCKET/PREFIX, as backup:storage:target had it)"
                )
            newest = whole[0]
            archive = place / next(iter(newest.files))
            self._check_environment(archive)
            # From here on this droplet is no fresh one, and whoever comes again has to come with the same.
            self.journal.write()
            names = open_house(archive, self.world.paths.root, KEPT)
        finally:
            shutil.rmtree(place)
        self._close()
        was_kept(self.world.paths)
        return f"{len(names)} files of {newest.taken.isoformat(timespec='seconds')}"

    def ground(self) -> str:
        """The host itself, with empty file systems: that they are empty is meant."""
        for volume in formula_inputs(self._settings())["volumes"]["mounts"].values():
            marks = Marks.beside(volume["image"])
            if not Path(volume["image"]).exists() and not marks.made.exists():
                marks.start_empty.parent.mkdir(parents=True, exist_ok=True)
                marks.start_empty.touch()
        return apply(*GROUND, *([] if is_managed(self._settings(), "postgres") else [LOG]))

    def fetch(self) -> str:
        """Every backup."""
        ours = Vault(self._settings()["backup"]["storage"], self.vault.store)
        if ours.place == self.vault.place:
            # First: what the lost one would still write is not fetched.
            take_over(self.world, self.vault, self.by)
        found = fetch(self.world, self.vault, self._settings(), self.by)
        if ours.place == self.vault.place:
            was_fetched(self.world, self.vault, self.by)
        else:
            self.journal.notes.append(
                f"backups are shipped to {ours.place or 'nowhere'} from now on, not to {self.vault.place}"
            )
        return f"{found['backups']} backups, {found['size']} in {found['seconds']} s"

    def database(self) -> str:
        """The database, before its server starts for the first time.

        Raises:
            BackupError: there are no settings, its server was started on an empty disk already, or the restore fails.
        """
        settings = self._settings()
        if is_managed(settings, "postgres"):
            return self._elsewhere("postgres")
        restore = FirstRestore(self.world, settings, self.target, self.progress)
        if restore.is_needless:
            if self.journal.found:
                return f"base backup {self.journal.found['base']} was restored before the interruption"
            if (self.world.paths.state / "volumes/postgres.initialised").exists():
                raise BackupError(
                    "PostgreSQL was started on an empty disk since the rebuild began, and its data would be taken for "
                    "the lost ones: begin again with a fresh droplet"
                )
            self.journal.notes.append(
                "the database's volume still had its data: they were kept, and nothing was restored"
            )
            return self.journal.notes[-1]
        self._pass_over_bad("postgres")
        self.world.docker.pull(settings["postgres"]["reference"])

        def note() -> None:
            # Else data that were restored would be taken for those of a volume that outlived its droplet.
            self.journal.found = restore.found
            self.journal.write()

        with self.world.lock.held(self.by, "rebuild"):
            return restore.perform(note)

    def cache(self) -> str:
        """The cache, likewise."""
        if is_managed(self._settings(), "redis"):
            return self._elsewhere("redis")
        file = self.world.paths.root / SNAPSHOT
        if file.exists():
            self.journal.notes.append("the cache had its data already: they were kept")
            return self.journal.notes[-1]
        self._pass_over_bad("redis")
        try:
            snapshot = choose_snapshot(self.world.catalogue.of("redis"), self.target.time)
        except BackupError as error:
            self.journal.notes.append(f"the cache begins empty: {error}")
            return self.journal.notes[-1]
        place_snapshot(self.world, snapshot, file, self._settings()["redis"]["user"])
        return f"as of {snapshot.taken.isoformat(timespec='seconds')}"

    def _elsewhere(self, service: str) -> str:
        where = place(self._settings(), service)
        self.journal.notes.append(
            f"{NAMES[service]} is at its provider ({where}) and was not touched: its trusted sources have to name this "
            "droplet"
        )
        return self.journal.notes[-1]

    def images(self) -> str:
        """The images of the live release and of those that a rollback may go back to.

        Raises:
            DockerError: the live release's could not be pulled, or one could not be given its name.
        """
        ledger = World.of(self.world.paths).ledger
        live = ledger.live()
        if live is None:
            return "nothing was ever released"
        kept = pinned(ledger.newest_first(), self._settings()["backend"]["keep_releases"])
        here = 0
        for record in kept:
            try:
                self.world.docker.pull(record.image)
            except DockerError as error:
                if record.release == live.release:
                    raise
                self.journal.notes.append(
                    f"the image of version {record.version} could not be pulled: {error}"
                )
                continue
            self.world.docker.tag(record.image, keep_name(record.origin))
            here += 1
        return f"{here} images, version {live.version} is live"

    def backup(self) -> str:
        """The log goes on from here, which wants a new base backup.

        Raises:
            BackupError: it was not taken well, or was refused for ``BUSY_SECONDS``.
        """
        answer: dict[str, Any] = {}

        def taken() -> bool:
            answer.update(function("backup.create", timeout=3600))
            # Cron's own may be at it.
            return bool(answer["outcome"] != "refused")

        self.world.clock.wait_until(taken, timeout=BUSY_SECONDS, interval=10)
        if answer["outcome"] != "good":
            raise BackupError(f"backup.create: {answer['reason']}")
        return f"in {answer['seconds']} s"

    def open(self) -> str:
        """The edge, where all behind it is well.

        Raises:
            BackupError: something behind it is unhealthy; it stays closed.
        """
        found = function("health.check")
        # Closed as it is, it can be no better than that.
        wrong = {
            name: service["detail"]
            for name, service in found["services"].items()
            if service["status"] == "unhealthy" and name != "edge"
        }
        if wrong:
            words = "; ".join(f"{name}: {detail}" for name, detail in wrong.items())
            live = World.of(self.world.paths).ledger.live()
            if self.target.time is not None and "backend" in wrong and live is not None:
                words += f". Its schema may be older than the release: deploy.release {live.version} brings it there"
            raise BackupError(words)
        self._edge().maintain("operator", False)
        return "updates are taken"

    def _do(self, name: str, action: Callable[[], str]) -> bool:
        def attempted() -> str:
            try:
                return action()
            except (EdgeError, LedgerError, LockHeld, SaltCallError) as error:
                raise BackupError(str(error)) from error

        if not self.steps.attempt(name, attempted):
            return False
        if name not in self.journal.done:
            self.journal.done.append(name)
        self.journal.write()
        return True

    def _pass_over_bad(self, kind: str) -> None:
        """Look through the newest backups of a kind, until one is whole; the others are known to be bad then."""
        catalogue = self.world.catalogue
        for backup in catalogue.of(kind):
            problems = catalogue.changed(backup)
            if not problems:
                return
            catalogue.looked_through(backup, problems, self.world.clock.now())
            self.journal.notes.append("; ".join(problems))

    def _end(self) -> None:
        live = World.of(self.world.paths).ledger.live()
        version = live.version if live else "nothing"
        self.world.spool.try_emit(
            "droplet.rebuilt", "warning", f"rebuilt from {self.vault.target}: version {version} is live"
        )
        self.journal.end()

    def _answer(self, went_well: bool) -> dict[str, Any]:
        live = World.of(self.world.paths).ledger.live() if went_well else None
        return {
            "outcome": "rebuilt" if went_well else "failed",
            "reason": self.steps.reason,
            "version": live.version if live else None,
            "release": live.release if live else None,
            **self.journal.found,
            "notes": [*self.journal.notes, *self.journal.found.get("notes", [])],
            "steps": self.steps.done,
            "next": [
                "point the name (or the reserved IP) at this droplet",
                "make sure that the lost droplet stays off; its backups are refused at the copy from now on",
            ]
            if went_well
            else ["mend what is in the way, then the same command: it goes on where it stopped"],
        }

    def _check_environment(self, archive: Path) -> None:
        """Another environment's secrets and data on this droplet would be a disaster."""
        stamp = read_house(archive, "etc/marketplace/environment").strip()
        if stamp != self.environment:
            raise BackupError(
                f"{self.vault.target} holds the backups of {stamp or 'an unknown environment'}, and this droplet is "
                f"to be {self.environment}: use another target, or bootstrap it as {stamp}"
            )

    def _close(self) -> None:
        """Before HAProxy is there to be told: it reads the file when it starts."""
        self.world.catalogue.disk.write(
            self.world.paths.maintenance_map, maintenance_lines({"operator": True})
        )

    def _edge(self) -> Edge:
        return World.of(self.world.paths).edge

    def _settings(self) -> dict[str, Any]:
        settings = read_json(self.world.paths.settings)
        if settings is None:
            raise BackupError(f"there is no {self.world.paths.settings}: the step before has not gone well")
        return dict(settings)
