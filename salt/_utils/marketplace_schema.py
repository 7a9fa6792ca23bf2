"""What a release does to the schema, decided before anything is done. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from marketplace_migrations import Migration, UnknownRevision, between, pending
from marketplace_records import ReleaseRecord


@dataclass(frozen=True)
class Change:
    """The migrations between what is and what is wanted.

    Attributes:
        migrations: to apply, oldest first, or, ``backwards``, to take back, newest first.
        heads: revisions that the schema is at afterwards.
        stays: why less is done than one might expect, in words, or "".
        refusals: why it must not be done as asked, in words.
    """

    migrations: tuple[Migration, ...] = ()
    backwards: bool = False
    heads: tuple[str, ...] = ()
    stays: str = ""
    refusals: list[str] = field(default_factory=list)

    @property
    def loses(self) -> list[str]:
        """What taking back would lose, a line for each migration that says so."""
        return [f"{item.revision}: {item.loses}" for item in self.migrations if self.backwards and item.loses]


def kind(migration: Migration) -> str:
    """What sort of migration it is, in the contract's words."""
    if migration.breaking:
        return "breaking"
    return "expand" if migration.transactional else "not transactional"


def brought(record: ReleaseRecord, current: Sequence[str]) -> bool:
    """Whether this release's migrations brought the schema to where it is."""
    after, before = (sorted(record.schema.get(when) or ()) for when in ("after", "before"))
    return record.kind == "release" and after == sorted(current) != before


def heads_of(plan: Sequence[Migration]) -> list[str]:
    """The revisions that a schema is at when all of a plan was applied."""
    below = {down for migration in plan for down in migration.down}
    return sorted(migration.revision for migration in plan if migration.revision not in below)


def forward(
    current: Sequence[str], heads: Sequence[str], plan: Sequence[Migration] | None, closed: bool
) -> Change:
    """What a release has to apply.

    Args:
        current: heads of the schema; heads: those of the new image.
        plan: the migrations that the new image knows; None where it does not tell.
        closed: whether nobody uses the schema meanwhile: updates will wait at Telegram, or nothing is live.
    """
    if set(current) == set(heads):
        return Change(heads=tuple(current))
    if plan is None:
        unknown = (
            Migration(head, (), "not described by the image", False, True, False, "")
            for head in sorted(set(heads) - set(current))
        )
        return Change(tuple(unknown), heads=tuple(heads))
    try:
        found = pending(plan, current)
    except UnknownRevision as error:
        known = ", ".join(heads) or "nothing"
        return Change(heads=tuple(current), stays=f"the schema is ahead of this version's {known}: {error}")
    change = Change(found, heads=tuple(heads))
    if not closed:
        change.refusals.extend(_needs_maintenance(found, "applied"))
    return change


def backward(
    current: Sequence[str],
    heads: Sequence[str],
    plan: Sequence[Migration] | None,
    maintenance: bool,
    force: bool,
) -> Change:
    """What a rollback has to take back.

    Args:
        current: heads of the schema; heads: those that the target had.
        plan: the migrations that the image knows which brought the schema here; None where it does not tell.
        maintenance: whether updates will wait at Telegram meanwhile.
        force: go back although something is lost, or cannot be taken back.
    """
    if set(current) == set(heads):
        return Change(heads=tuple(current), backwards=True)
    if plan is None:
        words = f"the schema is at {', '.join(current)}, and no image says how to take it back"
        return _kept(current, words, force)
    try:
        found = between(plan, current, heads)
    except UnknownRevision as error:
        return _kept(current, str(error), force)
    if not found:
        return Change(heads=tuple(current), backwards=True, stays="the schema is behind the target's already")
    reachable = _until_irreversible(found)
    stays = ""
    if len(reachable) < len(found):
        stuck = found[len(reachable)]
        stays = f"migration {stuck.revision} ({stuck.summary}) cannot be taken back"
        if stuck.loses:
            stays += f": it has lost {stuck.loses}"
    reached = tuple(heads) if len(reachable) == len(found) else _heads_without(plan, current, reachable)
    change = Change(reachable, True, reached, stays)
    if stays and not force:
        change.refusals.append(
            f"{stays}. force_schema=True goes back all the same and leaves the schema there"
        )
    if change.loses and not force:
        change.refusals.append(
            "taking the schema back loses " + "; ".join(change.loses) + ". force_schema=True accepts that"
        )
    if not maintenance:
        change.refusals.extend(_needs_maintenance(reachable, "taken back"))
    return change


def _kept(current: Sequence[str], words: str, force: bool) -> Change:
    change = Change(heads=tuple(current), backwards=True, stays=words)
    if not force:
        change.refusals.append(f"{words}. force_schema=True goes back and leaves the schema there")
    return change


def _until_irreversible(found: Sequence[Migration]) -> tuple[Migration, ...]:
    reachable = []
    for migration in found:
        if not migration.reversible:
            break
        reachable.append(migration)
    return tuple(reachable)


def _heads_without(
    plan: Sequence[Migration], current: Sequence[str], undone: Sequence[Migration]
) -> tuple[str, ...]:
    """The heads that are left when the newest migrations are taken back."""
    gone = {migration.revision for migration in (*undone, *pending(plan, current))}
    return tuple(heads_of([migration for migration in plan if migration.revision not in gone]))


def _needs_maintenance(migrations: Sequence[Migration], verb: str) -> list[str]:
    return [
        f"migration {item.revision} ({item.summary}) is {kind(item)} and can only be {verb} with maintenance=True: "
        "updates then wait at Telegram, and a restore point is taken"
        for item in migrations
        if item.breaking or not item.transactional
    ]
