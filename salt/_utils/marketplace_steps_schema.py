"""The steps that concern the schema: what has to change, a restore point, applying it, taking it back."""

import contextlib
from collections.abc import Sequence

from marketplace_backup_world import BackupError
from marketplace_colour import is_ready, keep_up, readiness
from marketplace_contract import Contract
from marketplace_database import point_of
from marketplace_durable import to_json
from marketplace_flight import Run, Tool
from marketplace_migrations import BASE, Migration, UnknownRevision, parse_plan, pending
from marketplace_one_off import QUESTION_SECONDS, revisions, run_once
from marketplace_release_compose import MIGRATION, project
from marketplace_schema import Change, backward, brought, forward, heads_of, kind
from marketplace_step import StepFailed
from marketplace_steps_colour import is_drained
from marketplace_world import World

# How long the live colour may take to be ready again behind a migration that it has to work with.
STEADY_SECONDS = 15


def examine(world: World, run: Run) -> str:
    """Find out which migrations lie between the schema and the release, and refuse those that must not be."""
    change = _examined(world, run)
    if change.refusals:
        raise StepFailed("; ".join(change.refusals))
    at = ", ".join(run.schema["before"] or ()) or "nothing"
    if not run.pending:
        return change.stays or f"schema is at {at} already"
    listed = ", ".join(f"{item.revision} ({kind(item)})" for item in run.pending)
    words = f"{'take back' if run.backwards else 'apply'} {listed}"
    if change.loses:
        words += "; this loses " + "; ".join(change.loses)
    return words + (f"; {change.stays}" if change.stays else "")


def _examined(world: World, run: Run) -> Change:
    contract, request = run.declared, run.request
    run.live_was_ready = (
        run.live_colour is not None and not run.maintenance and is_ready(world, run.settings, run.live_colour)
    )
    if run.origin is None or run.origin.schema.get("after") is None:
        own = _plan(world, run, run.image, contract)
        heads = revisions(world, run, run.image, contract.migrate_heads) if own is None else heads_of(own)
    else:
        own, heads = None, list(run.origin.schema["after"] or ())
    current = _current(world, run, heads)
    run.schema = {"before": current, "after": current}
    if run.origin is None:
        change = forward(current, heads, own, request.maintenance or run.live_colour is None)
    else:
        run.tool = _tool(world, current) if set(current) != set(heads) else None
        plan = _plan(world, run, run.tool.image, run.tool.contract) if run.tool else None
        change = backward(current, heads, plan, request.maintenance, request.force_schema)
        if set(current) != set(heads) and _is_behind(world, run, current):
            words = f"the schema is behind release {run.origin.origin}, so going there is no way back: "
            change = Change(refusals=[f"{words}deploy.release {run.version} applies what it needs"])
    run.pending, run.backwards, run.heads = list(change.migrations), change.backwards, list(change.heads)
    return change


def lacks_migrations(world: World, run: Run) -> bool:
    """Whether the schema lacks migrations of the live image: an import or a restore has brought an older one.

    The image is asked only where the schema is not as the live release has left it.
    """
    if run.origin is not None or run.previous is None or _is_as_left(world, run):
        return False
    return bool(_examined(world, run).migrations)


def _current(world: World, run: Run, heads: list[str]) -> list[str]:
    """Heads of the schema. To have the image tell them takes a container, which starts for most of a second.

    It is left out where the database says of itself that nothing is to be done: before anything is, the image must have
    shown that it can tell.

    Args:
        heads: those that the release is to have.
    """
    known = sorted(heads)
    # Without any, another tool than Alembic may have some that the database can't tell us of.
    if known and known == _left(run) and _is_as_left(world, run):
        return known
    return revisions(world, run, run.image, run.declared.migrate_current)


def _left(run: Run) -> Sequence[str] | None:
    """Where the live release has left the schema; None where there is none, or it does not know."""
    return run.previous.schema.get("after") if run.previous else None


def _is_as_left(world: World, run: Run) -> bool:
    """Whether the database says of its schema what the live release has left."""
    return _left(run) == world.database.heads(run.settings["postgres"]["database"])


def _is_behind(world: World, run: Run, current: list[str]) -> bool:
    """Whether the schema lacks migrations of the release that a rollback goes to."""
    own = _plan(world, run, run.image, run.declared)
    try:
        return own is not None and bool(pending(own, current))
    except UnknownRevision:
        return False


def _plan(world: World, run: Run, image: str, contract: Contract) -> tuple[Migration, ...] | None:
    if contract.migrate_plan is None:
        return None
    output = run_once(world, run, image, contract.migrate_plan, QUESTION_SECONDS)
    try:
        return parse_plan(output)
    except ValueError as error:
        raise StepFailed(f"`{' '.join(contract.migrate_plan)}` in {image}: {error}") from error


def _tool(world: World, current: list[str]) -> Tool | None:
    """The image that brought the schema to where it is: it alone is sure to have all the revisions."""
    for record in world.ledger.newest_first():
        if brought(record, current):
            document = world.disk.read_json(world.paths.releases / record.release / "contract.json")
            if document is None:
                continue
            contract = Contract.from_dict(document)
            if contract.migrate_down is None or contract.migrate_plan is None:
                return None
            if world.docker.image(record.image) is None:
                world.docker.pull(record.image)
            return Tool(record.image, contract)
    return None


def is_lossy(run: Run) -> bool:
    """Whether something that is there goes for good: by a migration that can't be taken back, or by taking one back."""
    if not run.schema["before"]:
        return False
    return any(item.loses if run.backwards else not item.reversible for item in run.pending)


def dump(world: World, run: Run) -> str:
    """Keep what is about to go in a dump: the log would bring back all of the database, and only for some days."""
    try:
        return world.dumps.take(run.settings, run.request.by)
    except BackupError as error:
        raise StepFailed(f"no dump could be taken before what nothing brings back: {error}") from error


def make_point(world: World, run: Run) -> str:
    """Take a restore point while nobody writes, and prove that it is one."""
    if not run.pending:
        return "no migration, no restore point"
    database, point = run.settings["postgres"]["database"], point_of(run.release)
    timeout = run.settings["backend"]["migration_timeout"]
    world.database.make_point(database, point, timeout)
    words = world.database.prove_point(database, point, timeout)
    run.point = point
    return f"{point} ({words})"


def use_point(world: World, run: Run) -> None:
    """Back to the restore point, once it was proven; an unfinished one goes. Nobody has written since it was taken."""
    point = point_of(run.release)
    if run.point:
        if not world.edge.maintenance()["release"] and run.point in world.database.points():
            raise StepFailed(
                f"updates were let in since {point} was taken: going back to it would forget them"
            )
        world.database.use_point(run.settings["postgres"]["database"], point)
        run.schema["after"] = run.schema["before"]
    else:
        world.database.drop_point(point)


def migrate(world: World, run: Run) -> str:
    """Bring the schema to where the release wants it, unless that is for later (:func:`downgrade`).

    From here on the release leaves traces, so what a later one needs to know of it is kept beside its record.
    """
    directory = run.directory(world)
    world.disk.make_directory(directory)
    world.disk.write(directory / "settings.json", to_json(run.settings))
    world.disk.write(directory / "contract.json", to_json(run.declared.to_dict()))
    if not run.pending or (run.backwards and not run.maintenance):
        return "nothing to do" if not run.pending else "later, behind the drain"
    return _take_back(world, run) if run.backwards else _apply(world, run)


def _apply(world: World, run: Run) -> str:
    contract = run.declared
    try:
        run_once(world, run, run.image, contract.migrate, run.settings["backend"]["migration_timeout"])
    except StepFailed:
        # It may have got half way: the record says where the schema really is, if that can be found out.
        _look(world, run, run.image, contract)
        raise
    # Asked from a fresh connection: a migration tool can report success and have rolled back.
    after = revisions(world, run, run.image, contract.migrate_current)
    run.schema["after"] = after
    if after == run.schema["before"] and contract.migrate_plan is None and _was_live(world, run.heads):
        heads = ", ".join(run.heads)
        return f"schema stays at {', '.join(after)}: it is ahead of this version's {heads}, and works with it"
    if set(after) != set(run.heads):
        raise StepFailed(
            f"the migration reported success, but the schema is at {after or 'nothing'} instead of {run.heads}"
        )
    if run.live_was_ready and not _live_works(world, run):
        answer = readiness(world, run.settings, str(run.live_colour))
        why = f"{project(str(run.live_colour))} no longer works with the migrated schema ({answer})"
        undone = _undo_for_live(world, run)
        raise StepFailed(f"{why}: migrations must work with the version before (docs/contract.md). {undone}")
    before = ", ".join(run.schema["before"] or ()) or "nothing"
    return f"schema from {before} to {', '.join(after)}"


def _was_live(world: World, heads: list[str]) -> bool:
    """Whether a release with just these heads was live: then newer migrations are those that had to work with it."""
    return any(
        record.outcome == "live" and list(record.schema.get("after") or ()) == heads
        for record in world.ledger.newest_first()
    )


def _live_works(world: World, run: Run) -> bool:
    return world.clock.wait_until(
        lambda: is_ready(world, run.settings, str(run.live_colour)), timeout=STEADY_SECONDS
    )


def _undo_for_live(world: World, run: Run) -> str:
    """Take just-applied migrations back, since the live version cannot live with them; what came of it, in words."""
    if run.declared.migrate_down is None or not all(item.reversible for item in run.pending):
        return "The schema stays as it is: these migrations cannot be taken back"
    try:
        _down(world, run, Tool(run.image, run.declared), run.schema["before"] or [])
    except StepFailed as error:
        return f"Taking it back failed: {error}"
    return "They were undone" + ("" if _live_works(world, run) else ", and it is still not ready")


def unmigrate(world: World, run: Run) -> None:
    """End a migration that was interrupted, and see what came of it; what live cannot live with is undone.

    In maintenance the restore point does that, and what a rollback takes back last was not begun.
    """
    ours = bool(run.pending) and not run.maintenance and not run.backwards
    unseen = ours and run.schema["after"] in (None, run.schema["before"])
    if unseen:
        run.schema["after"] = None  # nobody knows, until it is seen
    world.docker.remove(MIGRATION)
    if not ours:
        return
    if unseen:
        _look(world, run, run.image, run.declared)
    unchanged = run.schema["after"] in (None, run.schema["before"])
    # Once the new version has served, its users have written what going back would lose: then the schema stays.
    if unchanged or run.switched is not None or not run.live_was_ready or run.live_colour is None:
        return
    if not keep_up(world, run.settings, run.live_colour):
        _undo_for_live(world, run)


def downgrade(world: World, run: Run) -> str:
    """Take the schema back to the target's, now that nothing uses what goes; from the image that has the revisions."""
    if not is_drained(world, run):
        raise StepFailed(
            f"{project(str(run.live_colour))} was not stopped, or a job of it, and needs the schema as it is"
        )
    return _take_back(world, run)


def _take_back(world: World, run: Run) -> str:
    if run.tool is None:
        raise StepFailed("no image knows how to take the schema back")
    _down(world, run, run.tool, run.heads)
    listed = ", ".join(item.revision for item in run.pending)
    return f"took back {listed}: schema is at {', '.join(run.heads) or 'nothing'}"


def _down(world: World, run: Run, tool: Tool, heads: list[str]) -> None:
    if tool.contract.migrate_down is None:
        raise StepFailed(f"{tool.image} has no marketplace.migrate.down")
    command = (*tool.contract.migrate_down, *(heads or [BASE]))
    try:
        run_once(world, run, tool.image, command, run.settings["backend"]["migration_timeout"])
    finally:
        _look(world, run, tool.image, tool.contract)
    if set(run.schema["after"] or ()) != set(heads):
        raise StepFailed(
            f"taking it back reported success, but the schema is at {run.schema['after']} instead of {heads}"
        )


def _look(world: World, run: Run, image: str, contract: Contract) -> None:
    run.schema["after"] = None
    with contextlib.suppress(StepFailed):
        run.schema["after"] = revisions(world, run, image, contract.migrate_current)
