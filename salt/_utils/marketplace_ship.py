"""Shipping: what is new among the backups goes to the copy elsewhere, many times an hour; what is given up, from there.

What was shipped is remembered in one file, so that a round asks the storage for nothing and sends only what is new. A
storage that is away costs nothing but the copy: the receiver writes to this host's own disk, whatever happens there.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, log_files
from marketplace_claim import NotOurs, Owner, check, new_identity, owners
from marketplace_durable import to_json
from marketplace_house import fingerprint, take_house
from marketplace_ship_given_up import STREAMED, given_up
from marketplace_vault import Vault, VaultError

# After so long somebody has to know. Two rounds a minute are tried.
PATIENCE = timedelta(minutes=5)


def ship(world: BackupWorld, vault: Vault, by: str) -> dict[str, Any]:
    """One round.

    Returns:
        ``outcome`` (``shipped`` or ``failed``), ``reason``, ``files`` and ``bytes`` that were sent, ``dropped`` (files
        that were deleted there).

    Raises:
        LockHeld: another round is still at it.
    """
    with world.ship_lock.held(by, "backup.ship"):
        memory = Memory.read(world)
        now = world.clock.now()
        try:
            _take_house(world)
            sent, dropped = _round(world, vault, memory)
        except (VaultError, NotOurs, BackupError, OSError, ValueError, subprocess.SubprocessError) as error:
            memory.failed(world, str(error), now)
            return {"outcome": "failed", "reason": str(error), "files": 0, "dropped": 0}
        memory.shipped(world, now)
        return {"outcome": "shipped", "reason": "", "files": sent, "dropped": dropped}


def _round(world: BackupWorld, vault: Vault, memory: "Memory") -> tuple[int, int]:
    """Send what is new and delete what is given up; how many files that were."""
    # First: what is among those and is recorded as well was brought back.
    let_go = world.catalogue.let_go()
    groups = _files(world)
    stats = _stats(world, [name for group in groups for name in group])
    memory.turn_to(vault.place)
    waiting = memory.lacking(stats)
    there: list[str] | None = None
    if waiting or _given_up(world, memory, stats, let_go):
        there = vault.top()
        if not there:  # Somebody has emptied it.
            memory.files = {}
        waiting = memory.lacking(stats)
    for names in ([name for name in group if name in waiting] for group in groups):
        if names:
            # Asked again behind what took its time: another droplet may have taken the copy over.
            _send(world, vault, memory, {name: stats[name] for name in names}, there or vault.top())
            there = None
    dropped = _given_up(world, memory, stats, let_go)
    if dropped:
        _drop(world, vault, memory, dropped)
    for backup in let_go:
        world.catalogue.settle(backup)
    return len(waiting), len(dropped)


def _given_up(
    world: BackupWorld, memory: "Memory", present: Iterable[str], let_go: Iterable[Backup]
) -> list[str]:
    return given_up(set(memory.files), set(present), world.catalogue.all(), let_go)


def _drop(world: BackupWorld, vault: Vault, memory: "Memory", names: list[str]) -> None:
    """Delete there, records first, and remember that; the copy has to be this droplet's."""
    check(vault.target, vault.top(), memory.owner, known=True)
    records = [name for name in names if name.startswith("records/")]
    for some in (records, [name for name in names if name not in records]):
        vault.drop(some)
        for name in some:
            del memory.files[name]
    memory.write(world)


def _send(
    world: BackupWorld, vault: Vault, memory: "Memory", files: Mapping[str, str], there: list[str]
) -> None:
    """Copy files (by name, as they are), where the copy is this droplet's; ``there`` is what is at its top."""
    check(vault.target, there, memory.owner, known=bool(memory.files))
    before = owners(there)
    _own(world, memory, memory.rounds + 1)
    vault.put(world.paths.backups, [memory.owner.file, *files])
    memory.files |= files
    memory.write(world)
    vault.drop([owner.file for owner in before])


def take_over(world: BackupWorld, vault: Vault, by: str) -> None:
    """Make the copy this droplet's, whoever wrote to it: that one is kept from it from now on.

    Raises:
        LockHeld: a round is at it.
        VaultError: the copy can't be read, or written to.
    """
    with world.ship_lock.held(by, "taking the copy over"):
        memory = Memory.read(world)
        memory.turn_to(vault.place)
        before = owners(vault.top())
        _own(world, memory, max([memory.rounds, *(owner.rounds for owner in before)]) + 1)
        vault.put(world.paths.backups, [memory.owner.file])
        vault.drop([owner.file for owner in before if owner != memory.owner])


def was_fetched(world: BackupWorld, vault: Vault, by: str) -> None:
    """Remember that what is here was just brought from the copy, and need not be sent there.

    Raises:
        LockHeld: a round is at it.
        VaultError: the copy can't be read.
    """
    with world.ship_lock.held(by, "looking at the copy"):
        memory = Memory.read(world)
        memory.files = _stats(world, vault.names())
        memory.shipped(world, world.clock.now())


def _own(world: BackupWorld, memory: "Memory", rounds: int) -> None:
    """Note that this droplet writes to the copy for so many times now; first here, then in the file that goes there."""
    memory.rounds = rounds
    memory.write(world)
    for stale in world.paths.backups.glob("owner-*"):
        stale.unlink()
    file = world.paths.backups / memory.owner.file
    world.catalogue.disk.write(file, f"{memory.identity}\n", mode=0o600)


class Memory:
    """What was shipped, and since when nothing could be.

    Attributes:
        files: by name, size and time of change as they were when it was sent.
        last: when a round last went well.
        failing: ``since`` and ``error``, while rounds fail.
        identity: whom the copy knows this droplet as; rounds: how often it has written there.
        place: the copy that this is about; another one begins with nothing.
    """

    def __init__(
        self,
        files: dict[str, str],
        last: str,
        failing: dict[str, str] | None,
        identity: str = "",
        rounds: int = 0,
        place: str = "",
    ) -> None:
        self.files, self.last, self.failing = files, last, failing
        self.identity, self.rounds, self.place = identity or new_identity(), rounds, place

    @property
    def owner(self) -> Owner:
        return Owner(self.identity, self.rounds)

    @classmethod
    def read(cls, world: BackupWorld) -> "Memory":
        found: Any = world.catalogue.disk.read_json(_file(world)) or {}
        return cls(
            dict(found.get("files", {})),
            str(found.get("last", "")),
            found.get("failing"),
            str(found.get("identity", "")),
            int(found.get("rounds", 0)),
            str(found.get("place", "")),
        )

    def write(self, world: BackupWorld) -> None:
        document = {
            "files": self.files,
            "last": self.last,
            "failing": self.failing,
            "identity": self.identity,
            "rounds": self.rounds,
            "place": self.place,
        }
        world.catalogue.disk.write(_file(world), to_json(document), mode=0o600)

    def turn_to(self, place: str) -> None:
        """It is about that copy; of another than before nothing is known."""
        if self.place and self.place != place:
            self.files, self.last = {}, ""
        self.place = place

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
        return ""
    why = f": {memory.failing['error']}" if memory.failing else "; see: systemctl status cron"
    return f"the backups have not reached {target} since {memory.last}{why}"


def _take_house(world: BackupWorld) -> None:
    """Settings, secrets and ledger change at any time: an archive of them as soon as they have."""
    newest = world.catalogue.newest("house")
    if newest is None or newest.facts.get("fingerprint") != fingerprint(world.paths.root):
        world.catalogue.add(take_house(world))


def _files(world: BackupWorld) -> tuple[list[str], list[str]]:
    """What is to be at the copy; what is in the second list means nothing without all of the first."""
    root, barman = world.paths.backups, world.barman.directory
    backups = world.catalogue.all()
    # Barman's list of the log is made anew where it is fetched: of another moment than the log, it would be wrong.
    log = [*log_files(barman), barman / "identity.json"]
    first = [
        *(name for backup in backups for name in backup.files),
        *(str(path.relative_to(root)) for path in log if path.exists()),
        *_streamed(world),
    ]
    records = [*(root / "records").glob("*.json"), *(root / "drills").glob("*.json")]
    return first, [str(path.relative_to(root)) for path in records]


def _streamed(world: BackupWorld) -> list[str]:
    """What the receiver has of segments that are not put away yet, compressed: an idle one is nearly all zeros."""
    place = world.paths.backups / STREAMED
    place.mkdir(parents=True, exist_ok=True)
    names = []
    for source in sorted((world.barman.directory / "streaming").glob("0*")):
        target = place / f"{source.name}.zst"
        written = source.stat().st_mtime_ns
        if not target.exists() or target.stat().st_mtime_ns != written:
            world.host.run(
                ["zstd", "--quiet", "--force", "-o", str(target), str(source)], timeout=60, environment={}
            )
            os.utime(target, ns=(written, written))
        names.append(f"{STREAMED}/{target.name}")
    for stale in place.iterdir():
        if f"{STREAMED}/{stale.name}" not in names:
            stale.unlink()
    return names


def _stats(world: BackupWorld, names: Iterable[str]) -> dict[str, str]:
    """Size and time of change, by name, of those that are here."""
    found = {}
    for name in names:
        try:
            facts = (world.paths.backups / name).stat()
        except FileNotFoundError:
            continue
        found[name] = f"{facts.st_size}:{facts.st_mtime_ns}"
    return found


def _file(world: BackupWorld) -> Path:
    return world.paths.state / "shipped.json"
