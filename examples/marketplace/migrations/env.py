"""How migrations run: one at a time, never waiting long for a table, in one transaction, verified afterwards."""

import asyncio
import importlib
import os

from alembic import context
from alembic.script import ScriptDirectory
from marketplace_bot import config, database
from marketplace_bot.models import Base
from sqlalchemy import Connection, text

# Any fixed number will do; it stands for "the schema of this application".
MIGRATION_LOCK = 7_306_110
OTHER_MIGRATION_SECONDS = 120
# ALTER TABLE queues every later query of that table behind itself while it waits: wait briefly, fail, try again.
TABLE_LOCK_SECONDS = 3

if context.config.cmd_opts is not None:
    # A person at the `alembic` command line may compare models (check, --autogenerate), so load every feature's. A
    # release compares nothing, and is spared three seconds of importing the bot.
    importlib.import_module("marketplace_bot.features").routers()


def migrate(connection: Connection) -> set[str]:
    """Run what Alembic was asked for and return the revisions it believes it reached."""
    # The session's lock outlives transactions. It is taken in a transaction of its own, which is committed: one left
    # open when context.configure() runs is taken for the caller's, and then everything is silently rolled back.
    connection.execute(text(f"SET lock_timeout = '{OTHER_MIGRATION_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text(f"SET lock_timeout = '{TABLE_LOCK_SECONDS}s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
        return set(context.get_context().get_current_heads())


async def run() -> None:
    engine = database.direct(config.load_database(os.environ))
    try:
        async with engine.connect() as connection:
            reached = await connection.run_sync(migrate)
        async with engine.connect() as fresh:
            exists = await fresh.scalar(text("SELECT to_regclass('alembic_version')"))
            kept = (
                set((await fresh.scalars(text("SELECT version_num FROM alembic_version"))).all())
                if exists
                else set()
            )
        if kept != reached:
            raise RuntimeError(
                f"migrations were not kept: reached {sorted(reached)}, committed {sorted(kept)}"
            )
    finally:
        await engine.dispose()


def print_sql() -> None:
    """`alembic upgrade head --sql`: no database is asked."""
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


assert isinstance(context.script, ScriptDirectory)
if context.is_offline_mode():
    print_sql()
else:
    asyncio.run(run())
