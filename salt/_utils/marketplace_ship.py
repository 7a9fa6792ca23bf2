"""Shipping: what is new among the backups goes to the copy elsewhere, many times an hour; what is given up, from there.

What was shipped is remembered in one file, so that a round asks the storage for nothing and sends only what is new. A
storage that is away costs nothing but the copy: the receiver writes to this host's own disk, whatever happens there.

There are two lanes, each with a lock: the log and what else is small, which is to be elsewhere within the minute; and
backups, which take their time. Rounds of the first go on while one of the second is at it.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, log_files
from marketplace_claim import NotOurs, check, owners
from marketplace_host import HostError
from marketplace_house import fingerprint, take_house
from marketplace_lock import LockHeld
from marketplace_ship_given_up import STREAMED, given_up
from marketplace_ship_memory import Memory
from marketplace_vault import Vault, VaultError

# So much of a log that has piled up goes at once; between, what is being received gets its turn.
AT_ONCE_BYTES = 64 * 1024 * 1024
# Another round of the first lane takes seconds.
WAIT_SECONDS = 10.0
# What a backup was sent for in hours is not given up because a round is slow.
BUSY_SECONDS = 900.0
_TROUBLE = (VaultError, NotOurs, BackupError, HostError, OSError, ValueError, subprocess.SubprocessError)


@dataclass(frozen=True)
class _Done:
    """What a round has done, and whether there is more of the log to send."""

    sent: int = 0
    dropped: int = 0
    more: bool = False


def ship_rounds(world: BackupWorld, vault: Vault, by: str, times: int, pause: float) -> dict[str, Any]:
    """So many rounds, beginning every ``pause`` seconds: the log in each, backups in the last.

    Returns:
        As :func:`ship`, of the last round; its ``outcome`` is ``refused`` where another one was still at it.
    """
    answer = _answer()
    for left in reversed(range(times)):
        begun = world.clock.monotonic()
        try:
            answer = ship_log(world, vault, by) if left else ship(world, vault, by, beside=times > 1)
        except LockHeld as error:
            answer = {"outcome": "refused", "reason": str(error)}
        if left:
            world.clock.sleep(max(0.0, pause - (world.clock.monotonic() - begun)))
    return answer


def ship(world: BackupWorld, vault: Vault, by: str, beside: bool = False) -> dict[str, Any]:
    """One round: what :func:`ship_log` sends, and then the backups, newest first, each with its record behind it.

    Args:
        beside: whether backups are left to another round that is at them already.

    Returns:
        ``outcome`` (``shipped`` or ``failed``), ``reason``, ``files`` that were sent, ``dropped`` (files that were
        deleted there).

    Raises:
        LockHeld: another round is still at it.
    """
    answer = ship_log(world, vault, by)
    if answer["outcome"] == "failed":
        return answer
    try:
        with world.bulk_lock.held(by, "backup.ship"):
            return _added(answer, _ship_backups(world, vault, by))
    except LockHeld:
        if not beside:
            raise
        return answer


def ship_log(world: BackupWorld, vault: Vault, by: str) -> dict[str, Any]:
    """Send what is small: log, what is received of it, settings and ledger, records of backups that are there.

    Returns:
        As :func:`ship`.

    Raises:
        LockHeld: another round is still at it.
    """
    answer = _answer()
    while True:
        with world.ship_lock.held(by, "backup.ship", wait=WAIT_SECONDS):
            memory, now = Memory.read(world), world.clock.now()
            try:
                done = _round(world, vault, memory, now)
            except _TROUBLE as error:
                memory.failed(world, str(error), now)
                return _added(answer, _answer(reason=str(error)))
            memory.shipped(world, now)
        answer = _added(answer, _answer(done.sent, done.dropped))
        if not done.more:
            return answer


def _ship_backups(world: BackupWorld, vault: Vault, by: str) -> dict[str, Any]:
    """Send each backup that is new, and its record behind it."""
    answer, why = _answer(), ""
    try:
        while sent := _send_backup(world, vault, by):
            answer = _added(answer, _added(_answer(sent), ship_log(world, vault, by)))
            if answer["outcome"] == "failed":
                return answer
    except _TROUBLE as error:
        why = str(error)
    with world.ship_lock.held(by, "backup.ship", wait=BUSY_SECONDS):
        Memory.read(world).hold(world, why, world.clock.now())
    return _added(answer, _answer(reason=why))


def _answer(files: int = 0, dropped: int = 0, reason: str = "") -> dict[str, Any]:
    outcome = "failed" if reason else "shipped"
    return {"outcome": outcome, "reason": reason, "files": files, "dropped": dropped}


def _added(first: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Two answers as one, the outcome being the second's."""
    return then | {name: first[name] + then[name] for name in ("files", "dropped")}


def _round(world: BackupWorld, vault: Vault, memory: Memory, now: datetime) -> _Done:
    """Send what is new of the first lane, and delete what is given up."""
    memory.turn_to(vault.place)
    if memory.is_unseen(now):
        check(vault.target, _top(world, vault, memory), memory.owner, known=bool(memory.files))
        memory.see(world, vault.names() if memory.files else (), now)
    _take_house(world)
    # First: what is among those and is recorded as well was brought back.
    let_go = world.catalogue.let_go()
    small, backups = _small(world), world.catalogue.all()
    present = {*small, *(name for backup in backups for name in (backup.record, *backup.files))}
    there: list[str] | None = None
    if memory.lacking(small | _records(world, memory, backups)) or _given_up(world, memory, present, let_go):
        there = _top(world, vault, memory)
    waiting = memory.lacking(small)
    sent = _first({name: small[name] for name in small if name in waiting})
    if sent:
        _send(world, vault, memory, sent, there or vault.top())
        # Asked again behind what took its time: another droplet may have taken the copy over.
        there = None
    records = _records(world, memory, backups)
    records = {name: records[name] for name in memory.lacking(records)}
    if records:
        _send(world, vault, memory, records, there or vault.top())
    dropped = _given_up(world, memory, present, let_go)
    if dropped:
        _drop(world, vault, memory, dropped)
    for backup in let_go:
        world.catalogue.settle(backup)
    return _Done(len(sent) + len(records), len(dropped), len(sent) < len(waiting))


def _first(files: Mapping[str, str]) -> dict[str, str]:
    """As many of them as go at once; in their order."""
    found, size = {}, 0
    for name, facts in files.items():
        if size >= AT_ONCE_BYTES:
            break
        found[name] = facts
        size += int(facts.split(":")[0])
    return found


def _send_backup(world: BackupWorld, vault: Vault, by: str) -> int:
    """Copy what is new of the newest backup that is not there yet; how many files that were, none where all are.

    The log's lock is free meanwhile.
    """
    with world.ship_lock.held(by, "backup.ship", wait=BUSY_SECONDS):
        memory = Memory.read(world)
        stats, backup = _unsent(world, memory)
        if backup is None:
            return 0
        # Nothing but whose it is.
        _send(world, vault, memory, {}, _top(world, vault, memory))
        files = {name: stats[name] for name in memory.lacking(stats)}
    vault.put(world.paths.backups, sorted(files))
    with world.ship_lock.held(by, "backup.ship", wait=BUSY_SECONDS):
        memory = Memory.read(world)
        if memory.place != vault.place:
            raise VaultError(f"{vault.target} is not the copy any more since this round began")
        if (world.paths.backups / backup.record).exists():
            memory.files |= files
            memory.write(world)
        else:
            # It was let go of meanwhile, and nobody else knows that it has come there.
            vault.drop(sorted(files))
    return len(files)


def _top(world: BackupWorld, vault: Vault, memory: Memory) -> list[str]:
    """What is at the copy's top. Where that is nothing, somebody has emptied it."""
    there = vault.top()
    if not there:
        memory.see(world, (), world.clock.now())
    return there


def _given_up(
    world: BackupWorld, memory: Memory, present: Iterable[str], let_go: Iterable[Backup]
) -> list[str]:
    return given_up(set(memory.files), set(present), world.catalogue.all(), let_go)


def _drop(world: BackupWorld, vault: Vault, memory: Memory, names: list[str]) -> None:
    """Delete there, records first, and remember that; the copy has to be this droplet's."""
    check(vault.target, vault.top(), memory.owner, known=True)
    records = [name for name in names if name.startswith("records/")]
    for some in (records, [name for name in names if name not in records]):
        vault.drop(some)
        for name in some:
            del memory.files[name]
    memory.write(world)


def _send(
    world: BackupWorld, vault: Vault, memory: Memory, files: Mapping[str, str], there: list[str]
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


def _own(world: BackupWorld, memory: Memory, rounds: int) -> None:
    """Note that this droplet writes to the copy for so many times now; first here, then in the file that goes there."""
    memory.rounds = rounds
    memory.write(world)
    for stale in world.paths.backups.glob("owner-*"):
        stale.unlink()
    file = world.paths.backups / memory.owner.file
    world.catalogue.disk.write(file, f"{memory.identity}\n", mode=0o600)


def _take_house(world: BackupWorld) -> None:
    """Settings, secrets and ledger change at any time: an archive of them as soon as they have."""
    newest = world.catalogue.newest("house")
    if newest is None or newest.facts.get("fingerprint") != fingerprint(world.paths.root):
        world.catalogue.add(take_house(world))


def _small(world: BackupWorld) -> dict[str, str]:
    """What is to be at the copy within the minute, most urgent first: by name, size and time of change."""
    root, barman = world.paths.backups, world.barman.directory
    # Before the log: a segment that is put away meanwhile is in both.
    streamed = _streamed(world)
    others = [*(root / "drills").glob("*.json"), *sorted(log_files(barman)), barman / "identity.json"]
    houses = [name for backup in world.catalogue.of("house") for name in backup.files]
    return _stats(world, [*streamed, *houses, *(str(path.relative_to(root)) for path in others)])


def _unsent(world: BackupWorld, memory: Memory) -> tuple[dict[str, str], Backup | None]:
    """The newest of the backups that go by themselves and are not at the copy, with its files as they are."""
    for backup in world.catalogue.all():
        stats = _stats(world, backup.files) if backup.kind != "house" else {}
        if memory.lacking(stats):
            return stats, backup
    return {}, None


def _records(world: BackupWorld, memory: Memory, backups: Iterable[Backup]) -> dict[str, str]:
    """Records of backups that are at the copy as they are here: one means nothing without all of its files."""
    whole = [
        backup.record
        for backup in backups
        if memory.has(backup) and not memory.lacking(_stats(world, backup.files))
    ]
    return _stats(world, whole)


def _streamed(world: BackupWorld) -> list[str]:
    """What the receiver has of segments that are not put away yet, compressed: an idle one is nearly all zeros."""
    place = world.paths.backups / STREAMED
    place.mkdir(parents=True, exist_ok=True)
    names = []
    for source in sorted((world.barman.directory / "streaming").glob("0*")):
        target = place / f"{source.name}.zst"
        try:
            _pack(world, source, target)
        except (HostError, FileNotFoundError):
            if source.exists():
                raise
            # Finished or put away since, under another name.
            return _streamed(world)
        names.append(f"{STREAMED}/{target.name}")
    for stale in place.iterdir():
        if f"{STREAMED}/{stale.name}" not in names:
            stale.unlink()
    return names


def _pack(world: BackupWorld, source: Path, target: Path) -> None:
    written = source.stat().st_mtime_ns
    if not target.exists() or target.stat().st_mtime_ns != written:
        world.host.run(
            ["zstd", "--quiet", "--force", "-o", str(target), str(source)], timeout=60, environment={}
        )
        os.utime(target, ns=(written, written))


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
