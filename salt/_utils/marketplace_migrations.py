"""The migrations that an image knows, and which of them lie between two states of a schema. Pure.

A schema's state is the list of its heads: revisions on which none of the applied ones builds. Empty: no migration ran.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Revisions are printed one a line and appended to a command: no space in them, and none looks like an option.
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]*")
# What `marketplace.migrate.down` is given to take everything back.
BASE = "base"


@dataclass(frozen=True)
class Migration:
    """One migration, as ``marketplace.migrate.plan`` prints it.

    Args:
        revision: its id; down: ids it builds on, none for a first one.
        summary: what it does, in a line.
        breaking: whether the release before it cannot work with it.
        transactional: whether a failure leaves nothing of it.
        reversible: whether it can be taken back; loses: what taking it back loses, or empty.
    """

    revision: str
    down: tuple[str, ...]
    summary: str
    breaking: bool
    transactional: bool
    reversible: bool
    loses: str


class UnknownRevision(ValueError):
    """A schema is at revisions that a plan does not know; ``revisions`` names them."""

    def __init__(self, revisions: Sequence[str], plan: Sequence[Migration]) -> None:
        self.revisions = tuple(revisions)
        newest = f"its newest is {plan[-1].revision}" if plan else "it has none"
        super().__init__(f"the image's plan does not know {', '.join(self.revisions)} ({newest})")


def parse_plan(output: str) -> tuple[Migration, ...]:
    """Read what ``marketplace.migrate.plan`` printed.

    Returns:
        The migrations, each behind all that it builds on.

    Raises:
        ValueError: it is no such list; the message names what is wrong and what is expected.
    """
    try:
        document = json.loads(output)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the plan is no JSON ({error}); nothing but a list of migrations may be on stdout, "
            f"this starts with {output.strip()[:60]!r}"
        ) from None
    if not isinstance(document, list):
        raise ValueError(f"the plan is {_kind(document)}, expected a list of migrations, the oldest first")
    plan: list[Migration] = []
    known: set[str] = set()
    for number, entry in enumerate(document, 1):
        migration = _migration(entry, number)
        if migration.revision in known:
            raise ValueError(f"the plan has migration {migration.revision} twice")
        if missing := [revision for revision in migration.down if revision not in known]:
            raise ValueError(
                f"migration {migration.revision} builds on {', '.join(missing)}, which the plan does not have "
                "before it; the oldest comes first"
            )
        known.add(migration.revision)
        plan.append(migration)
    return tuple(plan)


def pending(plan: Sequence[Migration], current: Iterable[str]) -> tuple[Migration, ...]:
    """The migrations that a schema lacks, oldest first.

    Args:
        plan: of the image that is to migrate.
        current: the schema's heads; empty for an empty database.

    Raises:
        UnknownRevision: the schema is at revisions that the plan does not know: it is further on, or another's.
    """
    applied = _applied(plan, current)
    return tuple(migration for migration in plan if migration.revision not in applied)


def between(
    plan: Sequence[Migration], current: Iterable[str], target: Iterable[str]
) -> tuple[Migration, ...]:
    """The migrations to take back for a schema to go from one state to an earlier one, newest first.

    Args:
        plan: of an image that knows both.
        current: the schema's heads; target: those wanted, empty for an empty database.

    Raises:
        UnknownRevision: the plan does not know a revision of either.
    """
    unwanted = _applied(plan, current) - _applied(plan, target)
    return tuple(migration for migration in reversed(plan) if migration.revision in unwanted)


def _applied(plan: Sequence[Migration], heads: Iterable[str]) -> set[str]:
    """The heads, and all that they build on."""
    down = {migration.revision: migration.down for migration in plan}
    waiting = list(heads)
    if unknown := sorted(revision for revision in waiting if revision not in down):
        raise UnknownRevision(unknown, plan)
    found: set[str] = set()
    while waiting:
        revision = waiting.pop()
        if revision not in found:
            found.add(revision)
            waiting.extend(down[revision])
    return found


def _migration(entry: Any, number: int) -> Migration:
    """One entry of a plan; raises ValueError naming the key that is wrong."""
    if not isinstance(entry, dict):
        raise ValueError(f"migration {number} of the plan is {_kind(entry)}, expected an object")
    revision = entry.get("revision")
    if not _is_revision(revision):
        raise ValueError(
            f"migration {number} of the plan has the revision {revision!r}, expected an id without spaces "
            f"that does not start with '-', and not '{BASE}'"
        )
    down = entry.get("down")
    if not isinstance(down, list) or not all(_is_revision(item) for item in down):
        raise ValueError(
            f"migration {revision} has down={down!r}, expected a list of revisions, [] for a first one"
        )
    for name in ("breaking", "transactional", "reversible"):
        if not isinstance(entry.get(name), bool):
            raise ValueError(f"migration {revision} has {name}={entry.get(name)!r}, expected true or false")
    for name in ("summary", "loses"):
        if not isinstance(entry.get(name, ""), str):
            raise ValueError(f"migration {revision} has {name}={entry[name]!r}, expected words")
    return Migration(
        revision=str(revision),
        down=tuple(down),
        summary=entry.get("summary", ""),
        breaking=entry["breaking"],
        transactional=entry["transactional"],
        reversible=entry["reversible"],
        loses=entry.get("loses", ""),
    )


def _is_revision(value: Any) -> bool:
    return isinstance(value, str) and REVISION.fullmatch(value) is not None and value != BASE


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
