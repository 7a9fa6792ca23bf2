"""Whether the backups can be relied on: judged by what there is, not by what was once run."""

import contextlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_backup_world import WHERE, BackupWorld
from marketplace_backups import Backup, kinds
from marketplace_database import DatabaseError
from marketplace_drills import Drills, last_passed, late, missed
from marketplace_import import ASIDE
from marketplace_key import is_kept
from marketplace_receiver import Reception
from marketplace_restore_aside import aside
from marketplace_restore_begun import interrupted, unfinished
from marketplace_restore_cache import kept_caches
from marketplace_ship_given_up import missing
from marketplace_ship_memory import Memory
from marketplace_ship_memory import late as not_shipped
from marketplace_units import format_size

# One a day, and two hours for jitter, a busy night and its own duration.
LATE = timedelta(hours=26)
# A dump is once a week.
LATER = {"dump": timedelta(days=8)}
# The receiver tells every ten seconds how far it is; a busy server writes some segments meanwhile.
BEHIND_BYTES = 256 * 1024 * 1024


def judge(
    newest: Mapping[str, Backup | None],
    reception: Reception | None,
    problems: list[str],
    now: datetime,
    later: Mapping[str, timedelta] = LATER,
) -> list[str]:
    """What is wrong with the backups, one sentence each; none where all is well.

    Args:
        newest: the newest good backup by kind.
        reception: how the log is received; None while PostgreSQL can't be asked.
        problems: what the last look through them found.
        now: the time.
        later: how old a kind may be that is not taken every night.
    """
    found = []
    for kind, backup in newest.items():
        if backup is None:
            found.append(f"there is no good backup of {kind}: backup.create takes one")
        elif now - backup.taken > later.get(kind, LATE):
            hours = (now - backup.taken).total_seconds() / 3600
            found.append(
                f"the newest good backup of {kind} is {hours:.0f} h old: backup.create takes one, "
                "deploy.logs service=backup since=2d says why there is none"
            )
    if reception is not None:
        found += _received(reception)
    return found + problems


def _received(reception: Reception) -> list[str]:
    if reception.lost:
        return [
            "the server no longer has the log that the receiver needs: what is written now can't be restored; "
            "backup.create starts over"
        ]
    if reception.at_risk and reception.active:
        return [
            "the receiver of the database's log is so far behind that the server will delete what it needs at its next "
            "checkpoint; see: systemctl status barman-receive-wal@postgres"
        ]
    if not reception.active:
        return [
            "nobody receives the database's log: what is written now can't be restored; "
            "see: systemctl status barman-receive-wal@postgres"
        ]
    if reception.behind is not None and reception.behind > BEHIND_BYTES:
        return [f"the receiver of the database's log is {format_size(reception.behind)} behind"]
    return []


def status(world: BackupWorld, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The backups at a glance. Reads only. A file that can't be read is a sentence in ``trouble``.

    Args:
        settings: the effective settings; None before the first state.apply.

    Returns:
        ``newest`` (a row, or None, by each kind that is backed up here), ``count`` (None where a record can't be read),
        ``bytes`` (on disk), ``receiver`` (``active``, ``behind``; None where nobody can tell, or the database is at a
        provider), ``busy`` (who is at them), ``drill`` (the last that passed: when, and what it measured), ``trouble``
        (what is wrong, one sentence each), ``copy`` (the one elsewhere, and when it was last up to date), ``pending``
        (what waits for somebody).
    """
    try:
        return _told(world, settings)
    except (OSError, ValueError) as error:
        return {
            "newest": {},
            "count": None,
            "bytes": {"used": 0, "of": 0},
            "receiver": None,
            "busy": world.lock.holder(),
            "drill": None,
            "copy": None,
            "trouble": [f"the backups cannot be told: {error}"],
            "pending": [],
        }


def _told(world: BackupWorld, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    backups = world.catalogue.all()
    newest = {
        kind: next((backup for backup in backups if backup.kind == kind and backup.good), None)
        for kind in kinds(settings)
    }
    reception: Reception | None = None
    if "postgres" in newest:
        with contextlib.suppress(DatabaseError, json.JSONDecodeError):
            reception = world.receiver.look()
    problems = [words for backup in backups for words in backup.problems]
    free, total = world.host.free(world.paths.backups) if Path(world.paths.backups).exists() else (0, 0)
    later = LATER if "postgres" in newest else {}
    trouble = judge(newest, reception, problems, world.clock.now(), later)
    drills = Drills(world.paths.backups / "drills").all()
    passed = last_passed(drills)
    if settings is not None:
        most = settings["backup"]["max_drill_age"]
        refusing = late(world.paths, world.catalogue.disk, most, world.clock.now())
        since = min((backup.taken for backup in backups), default=None)
        silent = missed(drills, since, world.clock.now())
        trouble += refusing or ([silent] if silent else [])
    memory = Memory.read(world)
    target = settings["backup"]["storage"]["target"] if settings is not None else ""
    behind = not_shipped(memory, target, world.clock.now())
    trouble += [behind] if behind else []
    return {
        "newest": {
            kind: backup.row(where(memory, backup)) if backup else None for kind, backup in newest.items()
        },
        "count": len(backups),
        "bytes": {"used": total - free, "of": total},
        "receiver": None if reception is None else {"active": reception.active, "behind": reception.behind},
        "busy": world.lock.holder(),
        "drill": {key: passed[key] for key in ("time", "rpo_seconds", "rto_seconds", "size")}
        if passed
        else None,
        "copy": {"target": target, "last": memory.last or None} if target else None,
        "trouble": trouble,
        "pending": [*_elsewhere(world, memory, target), *_pending(world, target)],
    }


def _elsewhere(world: BackupWorld, memory: Memory, target: str) -> list[str]:
    """What was lost here, and is at the copy still."""
    # In this order: what is let go of meanwhile is in one of them.
    backups = world.catalogue.all()
    lost = missing(memory.files, backups, world.catalogue.let_go()) if target else []
    return (
        [f"{len(lost)} backups are in {target} and not here: backup.fetch brings them back"] if lost else []
    )


def where(memory: Memory, backup: Backup) -> str:
    """Where a backup is."""
    return f"{WHERE}, copy" if memory.has(backup) else WHERE


def _pending(world: BackupWorld, target: str) -> list[str]:
    found = []
    if target and not is_kept(world.paths):
        found.append(
            "nobody has kept the key of the backups' copy, without which it can't be read: backup.key shows it"
        )
    begun = unfinished(world.paths)
    if begun:
        found.append(interrupted(begun))
    found += [
        f"the old data of a restore are in {directory}: backup.confirm deletes them"
        for directory in (*aside(world), *kept_caches(world))
    ]
    # What is wrong with a database that can't be asked, others say.
    with contextlib.suppress(DatabaseError):
        found += [
            f"what was here before an import is in the database {name}: backup.confirm deletes it"
            for name in world.database.beginning(ASIDE)
        ]
    return found
