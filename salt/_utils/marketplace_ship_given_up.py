"""What may be deleted at the copy elsewhere: what was let go of here, and no more. Pure.

What is merely missing here may be missing because something went wrong here, and its copy is all that is left.
"""

from collections.abc import Collection, Iterable

from marketplace_backups import Backup
from marketplace_wal import Segment

STREAMED = "shipping/streaming"
_BASES, _LOG = "barman/postgres/base/", "barman/postgres/wals/"


def given_up(
    shipped: Collection[str], present: Collection[str], backups: Iterable[Backup], let_go: Iterable[Backup]
) -> list[str]:
    """Names that are at the copy and no longer needed there, records first: what is half deleted has none.

    Args:
        shipped: names at the copy.
        present: names that belong there.
        backups: every recorded backup.
        let_go: those that were let go of here.
    """
    backups, let_go = list(backups), list(let_go)
    gone = {name for backup in let_go for name in (backup.record, *backup.files)}
    begin = _begin(shipped, backups, let_go)
    put_away = {name.rsplit("/", 1)[1] for name in shipped if name.startswith(_LOG)}
    found = [
        name
        for name in shipped
        if name not in present
        and (name in gone or _is_before(name, begin) or _is_finished(name, shipped, put_away))
    ]
    return sorted(found, key=lambda name: (not name.startswith("records/"), name))


def missing(shipped: Iterable[str], backups: Iterable[Backup], let_go: Iterable[Backup]) -> list[str]:
    """Records of backups that are at the copy, and no longer here though nobody has let go of them."""
    known = {backup.record for backup in (*backups, *let_go)}
    return sorted(name for name in shipped if name.startswith("records/") and name not in known)


def _begin(shipped: Iterable[str], backups: list[Backup], let_go: list[Backup]) -> Segment | None:
    """The first log segment that any base backup needs, here or at the copy; None where that is not known."""
    known = {backup.id for backup in (*backups, *let_go) if backup.kind == "postgres"}
    if {name.split("/")[3] for name in shipped if name.startswith(_BASES)} - known:
        return None
    begins = [backup.begin for backup in backups if backup.kind == "postgres"]
    needed = [begin for begin in begins if begin is not None]
    return min(needed, key=lambda begin: begin.number, default=None) if len(needed) == len(begins) else None


def _is_before(name: str, begin: Segment | None) -> bool:
    """Whether it is of a log segment that no base backup needs."""
    segment = Segment.parse(_segment(name)) if name.startswith((_LOG, f"{STREAMED}/")) else None
    return segment is not None and begin is not None and segment.number < begin.number


def _is_finished(name: str, shipped: Collection[str], put_away: Collection[str]) -> bool:
    """Whether it is of a log segment that has come to the copy in full since."""
    if not name.startswith(f"{STREAMED}/"):
        return False
    whole = f"{STREAMED}/{_segment(name)}.zst"
    return _segment(name) in put_away or (whole != name and whole in shipped)


def _segment(name: str) -> str:
    return name.rsplit("/", 1)[1].removesuffix(".zst").removesuffix(".partial")
