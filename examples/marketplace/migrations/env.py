"""How migrations run: one at a time, never waiting long for a table, in one transaction, verified afterwards.

In one transaction, unless one of them can't be: then each in its own, for what such a one commits on its way includes
those before it, and a failure of those behind it must not take back that it ran.
"""

import asyncio
import importlib
import os

from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from marketplace_bot import config, database, revisions
from marketplace_bot.models import Base
from sqlalchemy import Connection, text

# Any fixed number will do; it stands for "the schema of this application".
MIGRATION_LOCK = 7_306_110
OTHER_MIGRATION_SECONDS = 120
# ALTER TABLE queues every later query of that table behind itself while it waits: wait briefly, fail, try again.
TABLE_LOCK_SECONDS = 3
CLIENT_CHECK_SECONDS = 2

if context.config.cmd_opts is not None:
    # A person at the `alembic` command line may compare models (check, --autogenerate), so load every feature's. A
    # release compares nothing, and is spared three seconds of importing the bot.
    importlib.import_module("marketplace_bot.features").routers()


def migrate(connection: Connection, settings: config.Migration) -> set[str]:
    """Run what Alembic was asked for and return the revisions it believes it reached."""
    # The session's lock outlives transactions. It is taken in a transaction of its own, which is committed: one left
    # open when context.configure() runs is taken for the caller's, and then everything is silently rolled back.
    connection.execute(text(f"SET statement_timeout = '{settings.seconds}s'"))
    # Killed in the middle of a statement: PostgreSQL would go on with it, locks and all.
    connection.execute(text(f"SET client_connection_check_interval = '{CLIENT_CHECK_SECONDS}s'"))
    connection.execute(text(f"SET lock_timeout = '{OTHER_MIGRATION_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text(f"SET lock_timeout = '{TABLE_LOCK_SECONDS}s'"))
    heads = MigrationContext.configure(connection).get_current_heads()
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=not all(
            revisions.declared(script)["transactional"] for script in chosen(heads)
        ),
    )
    with context.begin_transaction():
        context.run_migrations()
        return set(context.get_context().get_current_heads())


def chosen(heads: tuple[str, ...]) -> list[Script]:
    """The migrations that are about to run: marketplace_bot.migrate says which, and an upgrade takes all it lacks."""
    choose = context.config.attributes.get("chosen", lambda heads: revisions.pending(context.script, heads))
    found: list[Script] = choose(heads)
    return found


async def run() -> None:
    settings = config.load_migration(os.environ)
    engine = database.direct(settings.database)
    try:
        async with engine.connect() as connection:
            reached = await connection.run_sync(migrate, settings)
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
