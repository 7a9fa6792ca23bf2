"""Connections to PostgreSQL, bounded in number and in time."""

import ssl
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from . import config

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 10
LOCK_SECONDS = 5
POOL_WAIT_SECONDS = 5


def url(database: config.Database) -> URL:
    """The connection URL. Printing it hides the password."""
    return URL.create(
        "postgresql+asyncpg",
        username=database.user,
        password=database.password,
        host=database.host,
        port=database.port,
        database=database.name,
    )


def encryption(database: config.Database) -> dict[str, Any]:
    """What asyncpg is told of TLS: whoever answers has to prove that it is the host that was asked for.

    Without authorities to know it by it is left to asyncpg, which prefers TLS and verifies nothing.
    """
    return {} if database.ca is None else {"ssl": ssl.create_default_context(cafile=str(database.ca))}


def pool(database: config.Database, size: int, name: str) -> AsyncEngine:
    """An engine with at most `size` connections; `name` is shown in pg_stat_activity.

    Connects when first used: the process starts, and says "not ready", while PostgreSQL is still away.
    """
    return create_async_engine(
        url(database),
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        # A restarted PostgreSQL leaves dead connections in the pool: look before each use, so no update pays for it.
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args=encryption(database)
        | {
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS + 2,
            "server_settings": {
                "application_name": name,
                # The server must give up first: a client that walks away leaves its statement running.
                "statement_timeout": f"{STATEMENT_SECONDS}s",
                "lock_timeout": f"{LOCK_SECONDS}s",
                "idle_in_transaction_session_timeout": "30s",
            },
        },
    )


def direct(database: config.Database) -> AsyncEngine:
    """An engine without a pool, for migrations: each connection is new, so what it reads is what was committed."""
    return create_async_engine(
        url(database),
        poolclass=NullPool,
        connect_args=encryption(database)
        | {
            "timeout": CONNECT_SECONDS,
            "server_settings": {"application_name": "marketplace-migration"},
        },
    )
