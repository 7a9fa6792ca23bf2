"""The records of drills: backups that were really restored. Reads and writes files only."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk, to_json
from marketplace_paths import Paths

# So many are kept; one a day.
KEPT = 100
# One a night. One that is missed is a restart, or a long backup; with the second somebody has to know.
LATE = timedelta(hours=50)


class Drills:
    """One file a drill below ``directory``, named by its time."""

    def __init__(self, directory: Path, disk: Disk = DISK) -> None:
        self.directory = directory
        self.disk = disk

    def add(self, record: dict[str, Any]) -> None:
        """Record a drill; the oldest beyond those kept go."""
        self.disk.make_directory(self.directory)
        self.disk.write(self.directory / f"{record['id']}.json", to_json(record), mode=0o600)
        for name in self._names()[:-KEPT]:
            self.disk.remove(self.directory / name)

    def all(self) -> list[dict[str, Any]]:
        """Every record, newest first.

        Raises:
            ValueError: one is not readable; the message names it.
        """
        found = (self._record(self.directory / name) for name in reversed(self._names()))
        return [record for record in found if record is not None]

    def passed(self) -> dict[str, Any] | None:
        """The last one that passed."""
        return last_passed(self.all())

    def _record(self, file: Path) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] | None = self.disk.read_json(file)
            if record is not None:
                datetime.fromisoformat(record["time"])
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"{file} is no record of a drill ({error}): move it away; backup.drill makes a new one"
            ) from error
        return record

    def _names(self) -> list[str]:
        return [
            name for name in self.disk.names(self.directory) if name.endswith(".json") and name[0].isdigit()
        ]


def last_passed(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first that passed of records, newest first."""
    return next((record for record in records if record.get("outcome") == "passed"), None)


def overdue(passed: dict[str, Any] | None, since: datetime | None, most_days: int, now: datetime) -> str:
    """Why nobody should change anything before a drill has passed; nothing where that is not so.

    Args:
        passed: the last drill that passed.
        since: when the droplet was first used; None when it never was.
        most_days: how old the last drill may be; 0 for any age.
        now: the time.
    """
    if not most_days or since is None:
        return ""
    most = timedelta(days=most_days)
    last = datetime.fromisoformat(passed["time"]) if passed else None
    if now - (last or since) <= most:
        return ""
    words = f"the last was {(now - last).days} days ago" if last else "there was never one"
    return (
        f"no backup was restored on trial for {most_days} days (backup:max_drill_age; {words}): "
        "backup.drill does it, deploy.logs service=backup since=2d says why it did not pass"
    )


def missed(records: list[dict[str, Any]], since: datetime | None, now: datetime) -> str:
    """What people have to know of drills that don't take place, or don't pass; nothing where one has of late.

    Args:
        records: every drill, newest first.
        since: how far back there have been backups to try; None where there are none.
        now: the time.
    """
    passed = last_passed(records)
    last = datetime.fromisoformat(passed["time"]) if passed else since
    if last is None or now - last <= LATE:
        return ""
    tried = records[0] if records and records[0] is not passed else None
    why = (
        f"the last try, at {tried['time']}, failed: {tried.get('reason')}"
        if tried
        else "none was tried since: does cron call it (/etc/cron.d/marketplace-backup), or is somebody at the backups "
        "all night?"
    )
    hours = (now - last).total_seconds() / 3600
    return f"no backup was restored on trial for {hours:.0f} h; {why}. backup.drill does it"


def first_release(records: list[str]) -> datetime | None:
    """When the first release was made, by the ledger's file names; None where there is none."""
    names = sorted(name.removesuffix(".json") for name in records if name[0].isdigit())
    return datetime.strptime(names[0][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if names else None


def late(paths: Paths, disk: Disk, most_days: int, now: datetime) -> list[str]:
    """:func:`overdue` of the droplet whose files are at ``paths``: one sentence, or none."""
    passed = Drills(paths.backups / "drills", disk).passed()
    words = overdue(passed, first_release(disk.names(paths.ledger)), most_days, now)
    return [words] if words else []
