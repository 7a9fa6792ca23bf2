"""Looking backups through: every file as it was recorded, every log segment there and readable."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupWorld
from marketplace_backups import Backup, Log, log_below
from marketplace_progress import Progress
from marketplace_wal import Segment

# On one command line.
_AT_ONCE = 200


def verify(world: BackupWorld, progress: Progress, by: str) -> dict[str, Any]:
    """:func:`inspect`, while nobody else is at the backups.

    Raises:
        LockHeld: somebody is.
    """
    with world.lock.held(by, "backup.verify"):
        return inspect(world, progress)


def inspect(world: BackupWorld, progress: Progress) -> dict[str, Any]:
    """Look through all there is, and record what was found with each backup.

    Returns:
        ``problems`` (one sentence each), ``past`` (what is wrong with the log before the newest base backup: it can't
        be mended, and what is written now is not concerned), ``backups`` and ``segments`` (how many there are),
        ``until`` (name of the last log segment that can be reached from the newest base backup).
    """
    log = log_below(world.barman.directory)
    broken = dict(_unreadable(log))
    backups = world.catalogue.all()
    problems: list[str] = []
    for number, backup in enumerate(backups, 1):
        progress.update(f"{number} of {len(backups)}: {backup.kind} {backup.id}")
        found = world.catalogue.changed(backup)
        if backup.kind == "postgres":
            found += _log_of(backup, log, broken)
        problems += found
        world.catalogue.looked_through(backup, found, world.clock.now())
    begins = sorted(begin for backup in backups if (begin := backup.begin) is not None)
    past: list[str] = []
    until = None
    if begins:
        until = log.chain(begins[-1]).last
        for segment, words in _between(begins[0], log, broken):
            if words not in problems:
                (past if segment < begins[-1] else problems).append(words)
    return {
        "problems": problems,
        "past": past,
        "backups": len(backups),
        "segments": len(log.files),
        "until": until.name if until else None,
    }


def _unreadable(log: Log) -> Iterator[tuple[Segment, str]]:
    """Segments whose file is not what was written, and what is wrong with it."""
    files = sorted(log.files.items())
    for first in range(0, len(files), _AT_ONCE):
        some = files[first : first + _AT_ONCE]
        if not _sound(path for _, path in some):
            yield from (
                (segment, f"log segment {segment.name} was changed since it was put away")
                for segment, path in some
                if not _sound([path])
            )


def _sound(files: Iterable[Path]) -> bool:
    done = subprocess.run(
        ["zstd", "--quiet", "--test", *map(str, files)], capture_output=True, timeout=3600, check=False
    )
    return done.returncode == 0


def _log_of(backup: Backup, log: Log, broken: dict[Segment, str]) -> list[str]:
    """What is wrong with the log that a base backup can't do without."""
    begin, end = backup.begin, backup.end
    if begin is None or end is None:
        return [f"the record of base backup {backup.id} does not say which log it needs"]
    needed = [Segment(begin.timeline, number) for number in range(begin.number, end.number + 1)]
    found = [broken[segment] for segment in needed if segment in broken]
    missing = [segment.name for segment in needed if segment not in log.files]
    if missing:
        found.append(
            f"base backup {backup.id} can't be restored: log segment {', '.join(missing)} is missing"
        )
    return found


def _between(begin: Segment, log: Log, broken: dict[Segment, str]) -> Iterator[tuple[Segment, str]]:
    """Gaps and unreadable segments from ``begin`` on: the last segment of each, and what is wrong."""
    for first, last in log.chain(begin).gaps:
        what = first.name if first == last else f"{first.name} to {last.name}"
        yield (
            last,
            f"log segment {what} is missing: what was written in it and after it can only be restored from a later "
            "base backup; backup.create takes one",
        )
    yield from sorted((segment, words) for segment, words in broken.items() if segment >= begin)
