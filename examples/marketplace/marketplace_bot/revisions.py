"""The image's migrations: what each declares, and which of them are to run. No database is asked.

A migration's module may say more than Alembic asks for, where the default is wrong:

    breaking = True         the release before it can't work with it (False)
    transactional = False   it commits on its way, so a failure leaves half of it (True)
    reversible = False      it can't be taken back (True)
    loses = "..."           what people miss when it is taken back, or have lost by it if it can't be ("")
"""

from collections.abc import Iterable
from typing import Any

from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple

DEFAULTS: dict[str, Any] = {"breaking": False, "transactional": True, "reversible": True, "loses": ""}


class Refused(Exception):
    """Migrations can't be taken back like this; the message says why."""


def declared(script: Script) -> dict[str, Any]:
    """What a migration says of itself."""
    return {name: getattr(script.module, name, default) for name, default in DEFAULTS.items()}


def plan(scripts: ScriptDirectory) -> list[dict[str, Any]]:
    """Every migration, the oldest first, as the contract wants it printed."""
    return [
        {
            "revision": script.revision,
            "down": _builds_on(scripts, script),
            "summary": " ".join((script.doc or "").split()),
            **declared(script),
        }
        for script in reversed(list(scripts.walk_revisions()))
    ]


def pending(scripts: ScriptDirectory, current: Iterable[str]) -> list[Script]:
    """What a schema at the heads `current` lacks, the oldest first."""
    applied = _applied(scripts, current)
    return [script for script in reversed(list(scripts.walk_revisions())) if script.revision not in applied]


def beyond(scripts: ScriptDirectory, current: Iterable[str], targets: Iterable[str]) -> list[Script]:
    """What to take back from the heads `current` to reach `targets` (none: an empty schema), the newest first.

    Raises Refused for revisions that this image does not know or the schema does not have, and for a migration that is
    not reversible.
    """
    current, targets = set(current), set(targets)
    known = {script.revision for script in scripts.walk_revisions()}
    if unknown := current - known:
        raise Refused(
            f"the schema is at {words(unknown)}, which this image does not have: use the image that has it"
        )
    applied = _applied(scripts, current)
    if missing := targets - applied:
        raise Refused(f"the schema is at {words(current)}, which does not contain {words(missing)}")
    unwanted = applied - _applied(scripts, targets)
    found = [script for script in scripts.walk_revisions() if script.revision in unwanted]
    final = [script for script in found if not declared(script)["reversible"]]
    if final:
        reasons = (
            f"{script.revision} is not reversible, it has lost {declared(script)['loses']}"
            for script in final
        )
        raise Refused("; ".join(reasons))
    return found


def words(revisions: Iterable[str]) -> str:
    """Revisions as people read them."""
    return ", ".join(sorted(revisions)) or "nothing"


def _builds_on(scripts: ScriptDirectory, script: Script) -> list[str]:
    names = (*to_tuple(script.down_revision, ()), *to_tuple(script.dependencies, ()))
    return [found.revision for name in names if (found := scripts.get_revision(name)) is not None]


def _applied(scripts: ScriptDirectory, heads: Iterable[str]) -> set[str]:
    """The heads, and everything they build on."""
    found: set[str] = set()
    waiting = list(heads)
    while waiting:
        revision = waiting.pop()
        script = scripts.get_revision(revision)
        if revision not in found and script is not None:
            found.add(revision)
            waiting.extend(_builds_on(scripts, script))
    return found
