"""`python -m marketplace_bot.worker`: reminds sellers of what nobody buys. The deployment runs one of it, never two.

Its heartbeat says in the database which release's worker runs, and from when to when: two rows whose times overlap
would be two workers. On SIGTERM it ends at once: what is under way is rolled back, and the next one does it.
"""

import asyncio
import logging
import signal
import socket
import sys
from typing import Any

from sqlalchemy import func, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from . import database
from .config import Config, Identity
from .process import run
from .reminders import WorkerRun, remind

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 0.5
REMIND_EVERY_SECONDS = 60.0
LAST_WORD_SECONDS = 2.0


class Heart:
    """This process's row. The database's clock is the only one, so rows of different hosts can be compared."""

    def __init__(self, engine: AsyncEngine, identity: Identity) -> None:
        self._engine = engine
        self._who = {
            "release": identity.release,
            "version": identity.version,
            "colour": identity.colour,
            "container": socket.gethostname(),
        }
        self._id: int | None = None

    async def beat(self) -> None:
        """Still running. The first one makes the row."""
        if self._id is not None and await self._mark(heartbeat_at=func.clock_timestamp()):
            return
        times = {"started_at": func.clock_timestamp(), "heartbeat_at": func.clock_timestamp()}
        async with self._engine.begin() as connection:
            self._id = await connection.scalar(
                insert(WorkerRun).values(**self._who, **times).returning(WorkerRun.id)
            )
        log.info("worker runs", extra={"fields": {"run": self._id}})

    async def end(self) -> None:
        await self._mark(heartbeat_at=func.clock_timestamp(), ended_at=func.clock_timestamp())

    async def _mark(self, **times: Any) -> bool:
        """Write into the row; False if there is none."""
        async with self._engine.begin() as connection:
            result = await connection.execute(
                update(WorkerRun).where(WorkerRun.id == self._id).values(**times)
            )
        return bool(result.rowcount)


async def serve(config: Config) -> None:
    """Work until SIGTERM or SIGINT. A database that is away is waited for."""
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    assert me is not None
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, me.cancel)
    engine = database.pool(config.database, 1, "marketplace-worker")
    heart = Heart(engine, config.identity)
    try:
        await work(engine, heart)
    except asyncio.CancelledError:
        log.info("stopping")
    try:
        async with asyncio.timeout(LAST_WORD_SECONDS):
            await heart.end()
    except Exception:
        log.warning("the end could not be written down", exc_info=True)
    await engine.dispose()
    log.info("stopped")


async def work(engine: AsyncEngine, heart: Heart) -> None:
    loop = asyncio.get_running_loop()
    remind_at = loop.time()
    waiting = False
    while True:
        try:
            await heart.beat()
            if loop.time() >= remind_at:
                if sent := await remind(engine):
                    log.info("sellers reminded", extra={"fields": {"reminders": sent}})
                remind_at = loop.time() + REMIND_EVERY_SECONDS
            waiting = False
        except Exception:
            if not waiting:
                log.warning("worker is waiting for the database", exc_info=True)
            waiting = True
        await asyncio.sleep(HEARTBEAT_SECONDS)


if __name__ == "__main__":
    sys.exit(run(serve))
