"""The cache as a snapshot has it, in the live one's place; what it was stays aside until it is confirmed."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from marketplace_backup_snapshot import SNAPSHOT, check_snapshot, hand_over, unpack_snapshot
from marketplace_backup_steps import Steps
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup
from marketplace_durable import fsync_directory
from marketplace_progress import Progress

CONTAINER = "redis"
# Some hundred megabytes are read in seconds.
START_SECONDS = 300.0


def restore_cache(
    world: BackupWorld, settings: dict[str, Any], time: datetime | None, progress: Progress, by: str
) -> dict[str, Any]:
    """Put a snapshot in the place of what Redis has. Nobody writes meanwhile: the caller has seen to that.

    It can be done again after it was killed at any point; what Redis had each time stays aside. Where Redis does not
    come up on the snapshot, it has what it had again.

    Args:
        time: the newest snapshot that is not younger; None: the newest.

    Returns:
        ``outcome`` (``restored`` or ``failed``), ``reason``, ``snapshot``, ``aside``, ``steps``, ``seconds``.

    Raises:
        LockHeld: somebody is at the backups already.
        BackupError: there is no such snapshot.
    """
    with world.lock.held(by, "backup.restore what=cache"):
        begun = world.clock.monotonic()
        snapshot = choose_snapshot(world.catalogue.of("redis"), time)
        steps, kept = Steps(progress), list[Path]()

        def unpack() -> str:
            ready_cache(world, settings, lambda file: unpack_snapshot(world, snapshot, file))
            return f"as of {snapshot.taken.isoformat(timespec='seconds')}, read by Redis's own program"

        def exchange() -> str:
            kept.extend(exchange_cache(world, settings))
            return f"Redis answers; what it had is in {kept[0]}" if kept else "Redis answers; it had nothing"

        try:
            steps.all(("unpack", unpack), ("exchange", exchange))
        finally:
            discard_ready(world)
        return {
            "outcome": "failed" if steps.reason else "restored",
            "reason": steps.reason,
            "snapshot": snapshot.id,
            "aside": str(kept[0]) if kept else None,
            "steps": steps.done,
            "seconds": round(world.clock.monotonic() - begun, 1),
        }


def ready_cache(world: BackupWorld, settings: dict[str, Any], fill: Callable[[Path], object]) -> None:
    """Make a snapshot ready beside what Redis has, which goes on meanwhile; :func:`exchange_cache` puts it in place.

    Args:
        fill: writes the snapshot to a file.

    Raises:
        BackupError: Redis's own program can't read it.
    """
    ready = _ready(world)
    fill(ready)
    check_snapshot(world, settings, ready)
    hand_over(world, ready, settings["redis"]["user"])


def discard_ready(world: BackupWorld) -> None:
    """Nothing is left of what was made ready; harmless where it is in its place, or never was."""
    _ready(world).unlink(missing_ok=True)


def exchange_cache(world: BackupWorld, settings: dict[str, Any]) -> list[Path]:
    """Put what was made ready in the place of what Redis has. Nobody writes meanwhile: the caller has seen to that.

    Returns:
        Where that is kept; nothing where it had nothing.

    Raises:
        BackupError: Redis does not come up on it; it has what it had again.
    """
    file = _file(world)
    kept = file.with_name(f"{file.name}.before-{world.clock.now():%Y%m%dT%H%M%S}")
    try:
        had = _stop(world, settings, kept)
        _ready(world).rename(file)
        fsync_directory(file.parent)
    except BaseException:
        # Whatever went wrong: a cache that is away helps nobody.
        _start(world)
        raise
    try:
        _start(world)
    except Exception as error:
        world.docker.stop(CONTAINER, grace=settings["redis"]["stop_grace"])
        if had:
            kept.rename(file)
        else:
            file.unlink(missing_ok=True)
        fsync_directory(file.parent)
        _start(world)
        raise BackupError(f"{error}. It runs again with what it had before") from error
    return [kept] if had else []


def choose_snapshot(snapshots: list[Backup], time: datetime | None) -> Backup:
    """The newest good one that is not younger than ``time``.

    Raises:
        BackupError: there is none.
    """
    good = [snapshot for snapshot in snapshots if snapshot.good]
    early = [snapshot for snapshot in good if time is None or snapshot.taken <= time]
    if early:
        return max(early, key=lambda snapshot: snapshot.taken)
    if good:
        oldest = min(snapshot.taken for snapshot in good)
        raise BackupError(
            f"the oldest good snapshot of the cache is of {oldest.isoformat(timespec='seconds')}"
        )
    raise BackupError("there is no good snapshot of the cache; backup.list shows what there is")


def kept_caches(world: BackupWorld) -> list[Path]:
    """What restores have put aside."""
    file = _file(world)
    return sorted(file.parent.glob(f"{file.name}.before-*"))


def _stop(world: BackupWorld, settings: dict[str, Any], kept: Path) -> bool:
    """Stop Redis, and keep what it had; whether it had anything."""
    file = _file(world)
    # It writes what it has when it is told to end.
    world.docker.stop(CONTAINER, grace=settings["redis"]["stop_grace"])
    if not file.exists():
        return False
    # Under a second name: the file itself is never missing, it is replaced in one instant.
    os.link(file, kept)
    fsync_directory(file.parent)
    return True


def _start(world: BackupWorld) -> None:
    world.docker.start(CONTAINER)
    if not world.clock.wait_until(
        lambda: world.docker.is_well(CONTAINER), timeout=START_SECONDS, interval=0.5
    ):
        raise BackupError("Redis does not come up; see: deploy.logs service=redis")


def _file(world: BackupWorld) -> Path:
    return world.paths.root / SNAPSHOT


def _ready(world: BackupWorld) -> Path:
    file = _file(world)
    return file.with_name(f".{file.name}.ready")
