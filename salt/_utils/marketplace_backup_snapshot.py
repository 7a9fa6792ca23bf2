"""The cache's snapshot: the file that Redis itself writes, copied, checked by Redis's own program, and compressed."""

import os
import shutil
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, file_digest
from marketplace_docker import confined
from marketplace_durable import fsync_directory
from marketplace_last_words import last_words
from marketplace_redis import Connection, reach
from marketplace_secrets import Store

# Some hundred megabytes, in moments.
SAVE_SECONDS = 300.0
# Redis's own file, below the root.
SNAPSHOT = "srv/data/redis/data/dump.rdb"


def take_snapshot(world: BackupWorld, settings: dict[str, Any]) -> Backup:
    """Have Redis write its file now, and keep a copy of it.

    Raises:
        BackupError: Redis could not save, or the file is not whole.
        RedisError: it cannot be asked.
    """
    begun = world.clock.now()
    with _connection(world, settings) as redis:
        _save(world, redis)
    place = world.paths.backups / "redis"
    place.mkdir(mode=0o700, exist_ok=True)
    identity = f"{begun:%Y%m%dT%H%M%S}"
    plain, packed = place / f".{identity}.rdb", place / f"{identity}.rdb.zst"
    try:
        # Redis replaces the file by a rename: what is open is one whole snapshot, whatever comes.
        shutil.copyfile(world.paths.root / SNAPSHOT, plain)
        check_snapshot(world, settings, plain)
        world.host.run(
            ["zstd", "--quiet", "--force", "-o", str(packed), str(plain)], timeout=600, environment={}
        )
        packed.chmod(0o600)
        world.catalogue.disk.sync_file(packed)
        fsync_directory(place)
    finally:
        plain.unlink(missing_ok=True)
    return Backup(
        kind="redis",
        id=identity,
        started=begun.isoformat(timespec="seconds"),
        ended=world.clock.now().isoformat(timespec="seconds"),
        bytes=packed.stat().st_size,
        files={str(packed.relative_to(world.paths.backups)): file_digest(packed)},
    )


def place_snapshot(world: BackupWorld, snapshot: Backup, file: Path, user: str) -> None:
    """Put a snapshot where Redis reads it when it starts; Redis does not run meanwhile.

    Args:
        world: what backups touch.
        snapshot: which.
        file: Redis's own; replaced.
        user: uid and gid that Redis runs as.

    Raises:
        BackupError: the snapshot is not what was backed up.
        HostError: it can't be unpacked.
    """
    unfinished = file.with_name(f".{file.name}.restoring")
    try:
        unpack_snapshot(world, snapshot, unfinished)
        hand_over(world, unfinished, user)
        unfinished.rename(file)
        fsync_directory(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def unpack_snapshot(world: BackupWorld, snapshot: Backup, file: Path) -> None:
    """Write what a snapshot holds to a file.

    Raises:
        BackupError: the snapshot is not what was backed up.
        HostError: it can't be unpacked.
    """
    changed = world.catalogue.changed(snapshot)
    if changed:
        raise BackupError("; ".join(changed))
    packed = world.paths.backups / next(iter(snapshot.files))
    world.host.run(["zstd", "--quiet", "--force", "--decompress", "-o", str(file), str(packed)], 600, {})


def hand_over(world: BackupWorld, file: Path, user: str) -> None:
    """Make a file, durably, one that Redis alone reads and writes.

    Args:
        user: uid and gid that Redis runs as.
    """
    uid, gid = user.split(":")
    os.chown(file, int(uid), int(gid))
    file.chmod(0o600)
    world.catalogue.disk.sync_file(file)


def check_snapshot(world: BackupWorld, settings: dict[str, Any], file: Path) -> None:
    """Have the pinned image's own program read a whole file, which everybody can read then.

    Raises:
        BackupError: it is not whole, or of a newer Redis.
    """
    file.chmod(0o444)
    done = world.docker.run_once(
        [
            "--rm", *confined(settings["redis"]["user"], 16), "--log-driver=none",
            f"--volume={file}:/snapshot.rdb:ro", "--entrypoint=redis-check-rdb",
            settings["redis"]["reference"], "/snapshot.rdb",
        ],
        timeout=300,
    )  # fmt: skip
    if done.returncode != 0:
        said = last_words(done.stdout + done.stderr)
        raise BackupError(f"the snapshot of Redis is not whole, or of a newer one: {said}")


def _connection(world: BackupWorld, settings: dict[str, Any]) -> Connection:
    redis = settings["redis"]
    login = (redis["users"]["operator"], Store(world.paths.secrets).read("redis_operator_password"))
    return reach(redis["address"], redis["port"], redis["plain_port"], login, world.paths.trusted)


def _save(world: BackupWorld, redis: Connection) -> None:
    """A snapshot that began after this was asked for."""
    if not world.clock.wait_until(lambda: not _state(redis)["saving"], timeout=SAVE_SECONDS):
        raise BackupError(
            f"Redis has been writing a snapshot for {SAVE_SECONDS:.0f} s; see: docker logs redis"
        )
    redis.command("BGSAVE")
    if not world.clock.wait_until(lambda: not _state(redis)["saving"], timeout=SAVE_SECONDS):
        raise BackupError(
            f"Redis did not finish its snapshot within {SAVE_SECONDS:.0f} s; see: docker logs redis"
        )
    if not _state(redis)["went_well"]:
        raise BackupError("Redis could not write its snapshot; see: docker logs redis")


def _state(redis: Connection) -> dict[str, bool]:
    lines = str(redis.command("INFO", "persistence")).splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        "saving": facts.get("rdb_bgsave_in_progress") != "0",
        "went_well": facts.get("rdb_last_bgsave_status") == "ok",
    }
