"""`python -m marketplace_bot.migrate upgrade|current|heads|plan|down REVISION...`: the commands the labels name.

upgrade  brings the schema to this image's head. A database that is further on than this image knows is left alone,
         with exit code 0: that is what releasing an older version means under expand/contract.
current  prints the database's revision (nothing for an empty database); needs no migration scripts to know it.
heads    prints this image's head; needs no database.
plan     prints what this image's migrations do and declare, as JSON, the oldest first; needs no database.
down     takes back all that is beyond the named revisions, or everything for `base`; all or nothing. Twice is once.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from . import config, database, revisions
from .revisions import words

LOCK_ATTEMPTS = 5
LOCK_PAUSE_SECONDS = 2.0
# What an attempt takes that waits in vain (env.py), and a little more.
LOCK_ATTEMPT_SECONDS = 4.0
LOCK_NOT_AVAILABLE = "55P03"


def alembic_config() -> Config:
    return Config(Path(__file__).resolve().parent.parent / "alembic.ini")


async def current_revisions(settings: config.Database) -> set[str]:
    """What the database says, read on a connection of its own, so only what is committed."""
    engine = database.direct(settings)
    try:
        async with engine.connect() as connection:
            if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
                return set()
            return set((await connection.scalars(text("SELECT version_num FROM alembic_version"))).all())
    finally:
        await engine.dispose()


def upgrade(settings: config.Migration) -> int:
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {revision.revision for revision in scripts.walk_revisions()}
    heads = set(scripts.get_heads())
    before = asyncio.run(current_revisions(settings.database))
    if unknown := before - known:
        print(f"the schema is at {words(unknown)}, which this image does not have: nothing to do")
        return 0
    _patiently(lambda: command.upgrade(alembic_config(), "heads"), settings)
    after = asyncio.run(current_revisions(settings.database))
    if after != heads:
        print(
            f"the migration was not kept: the schema is at {words(after)}, not {words(heads)}",
            file=sys.stderr,
        )
        return 1
    print(f"schema {words(before)} -> {words(after)}")
    return 0


def down(settings: config.Migration, targets: set[str]) -> int:
    alembic = alembic_config()
    scripts = ScriptDirectory.from_config(alembic)

    def beyond(current: tuple[str, ...]) -> list[Script]:
        return revisions.beyond(scripts, current, targets)

    # Asked by env.py once it has the lock: only then nobody else changes the schema.
    alembic.attributes["chosen"] = beyond

    def attempt() -> None:
        def steps(current: tuple[str, ...], _: object) -> list[MigrationStep]:
            return [
                MigrationStep.downgrade_from_script(scripts.revision_map, found) for found in beyond(current)
            ]

        with EnvironmentContext(alembic, scripts, fn=steps):
            scripts.run_env()

    before = asyncio.run(current_revisions(settings.database))
    _patiently(attempt, settings)
    after = asyncio.run(current_revisions(settings.database))
    if left := revisions.beyond(scripts, after, targets):
        print(f"it was not kept: {words(script.revision for script in left)} is still there", file=sys.stderr)
        return 1
    print(f"schema {words(before)} -> {words(after)}")
    return 0


def _patiently(attempt: Callable[[], None], settings: config.Migration) -> None:
    """Try again while a table is in use: it is rolled back, and waiting longer would queue the bot behind us."""
    end = time.monotonic() + settings.seconds
    for number in range(1, LOCK_ATTEMPTS + 1):
        try:
            attempt()
            break
        except DBAPIError as error:
            late = time.monotonic() + LOCK_PAUSE_SECONDS + LOCK_ATTEMPT_SECONDS > end
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or late or number == LOCK_ATTEMPTS:
                raise
            print(f"a table is in use, attempt {number} of {LOCK_ATTEMPTS}: {error.orig}", file=sys.stderr)
            time.sleep(LOCK_PAUSE_SECONDS)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["heads"]:
            print("\n".join(sorted(ScriptDirectory.from_config(alembic_config()).get_heads())))
            return 0
        case ["plan"]:
            print(json.dumps(revisions.plan(ScriptDirectory.from_config(alembic_config())), indent=2))
            return 0
        case ["current" | "upgrade" as verb] | ["down" as verb, _, *_]:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    try:
        settings = config.load_migration(os.environ)
        match verb:
            case "upgrade":
                return upgrade(settings)
            case "down":
                return down(settings, set(arguments[1:]) - {"base"})
        print("\n".join(sorted(asyncio.run(current_revisions(settings.database)))))
        return 0
    except config.ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    except (revisions.Refused, SQLAlchemyError, OSError, TimeoutError) as error:
        print(f"{verb} failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
