"""The cache as one of its snapshots had it, in the live one's place; what it was stays aside until it is confirmed."""

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from marketplace_backup_snapshot import check_snapshot, place_snapshot
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

    It can be done again after it was killed at any point; what Redis had each time stays aside.

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
        file = _file(world)
        kept = file.with_name(f"{file.name}.before-{world.clock.now():%Y%m%dT%H%M%S}")
        steps = Steps(progress)

        def stop() -> str:
            return f"what it had is in {kept}" if _stop(world, settings, kept) else "stopped; it had nothing"

        def place() -> str:
            place_snapshot(world, snapshot, file, settings["redis"]["user"])
            return f"as of {snapshot.taken.isoformat(timespec='seconds')}"

        went_well = steps.all(("stop", stop), ("place", place))
        if not went_well:
            kept.unlink(missing_ok=True)
        # Whatever went wrong: a cache that is away helps nobody.
        steps.attempt("start", lambda: _start(world))
        return {
            "outcome": "failed" if steps.reason else "restored",
            "reason": steps.reason,
            "snapshot": snapshot.id,
            "aside": str(kept) if kept.exists() else None,
            "steps": steps.done,
            "seconds": round(world.clock.monotonic() - begun, 1),
        }


def exchange_cache(world: BackupWorld, settings: dict[str, Any], given: Path) -> Path | None:
    """Put a snapshot of elsewhere in the place of what Redis has. Nobody writes meanwhile: the caller has seen to that.

    Returns:
        Where that is kept; None where it had nothing.

    Raises:
        BackupError: the snapshot can't be read, or Redis does not come up on it; it has what it had again.
    """
    file = _file(world)
    ready = file.with_name(f".{file.name}.importing")
    kept = file.with_name(f"{file.name}.before-{world.clock.now():%Y%m%dT%H%M%S}")
    try:
        shutil.copyfile(given, ready)
        check_snapshot(world, settings, ready)
        uid, gid = settings["redis"]["user"].split(":")
        os.chown(ready, int(uid), int(gid))
        ready.chmod(0o600)
        world.catalogue.disk.sync_file(ready)
        had = _stop(world, settings, kept)
        ready.rename(file)
        fsync_directory(file.parent)
    except BaseException:
        # Whatever went wrong: a cache that is away helps nobody.
        _start(world)
        raise
    finally:
        ready.unlink(missing_ok=True)
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
        raise BackupError(f"{error}. It runs again with what it had before {given}") from error
    return kept if had else None


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


def _start(world: BackupWorld) -> str:
    world.docker.start(CONTAINER)

    if not world.clock.wait_until(
        lambda: world.docker.is_well(CONTAINER), timeout=START_SECONDS, interval=0.5
    ):
        raise BackupError("Redis does not come up; see: deploy.logs service=redis")
    return "Redis answers"


def _file(world: BackupWorld) -> Path:
    return world.paths.root / "srv/data/redis/data/dump.rdb"
