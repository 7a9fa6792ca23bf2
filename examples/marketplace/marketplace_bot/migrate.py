"""`python -m marketplace_bot.migrate upgrade|current|heads`: the commands the image's labels name.

upgrade  brings the schema to this image's head. A database that is further on than this image knows is left alone,
         with exit code 0: that is what releasing an older version means under expand/contract.
current  prints the database's revision (nothing for an empty database); needs no migration scripts to know it.
heads    prints this image's head; needs no database.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from . import config, database

LOCK_ATTEMPTS = 5
LOCK_PAUSE_SECONDS = 2.0
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


def upgrade(settings: config.Database) -> int:
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {revision.revision for revision in scripts.walk_revisions()}
    heads = set(scripts.get_heads())
    before = asyncio.run(current_revisions(settings))
    if unknown := before - known:
        print(f"the schema is at {', '.join(sorted(unknown))}, which this image does not have: nothing to do")
        return 0
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            command.upgrade(alembic_config(), "heads")
            break
        except DBAPIError as error:
            # A long query held a table: everything is rolled back, and waiting longer would queue the bot behind us.
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or attempt == LOCK_ATTEMPTS:
                raise
            print(f"a table is in use, attempt {attempt} of {LOCK_ATTEMPTS}: {error.orig}", file=sys.stderr)
            time.sleep(LOCK_PAUSE_SECONDS)
    after = asyncio.run(current_revisions(settings))
    if after != heads:
        print(
            f"the migration was not kept: the schema is at {sorted(after)}, not {sorted(heads)}",
            file=sys.stderr,
        )
        return 1
    print(f"schema {', '.join(sorted(before)) or 'empty'} -> {', '.join(sorted(after))}")
    return 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["heads"]:
            print("\n".join(sorted(ScriptDirectory.from_config(alembic_config()).get_heads())))
            return 0
        case ["current" | "upgrade" as verb]:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    try:
        settings = config.load_database(os.environ)
        if verb == "upgrade":
            return upgrade(settings)
        print("\n".join(sorted(asyncio.run(current_revisions(settings)))))
        return 0
    except config.ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        print(f"{verb} failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
