"""/health/live: the process answers. /health/ready: it can handle an update now. /version: who is it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from .config import Identity
from .models import Base

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.5
# Docker, the edge and a person may all ask: share one answer for a moment, so that asking costs little.
FRESH_SECONDS = 0.5

Check = Callable[[], Awaitable[object]]


def check_schema(engine: AsyncEngine) -> Check:
    """Selects every column this version knows, of every table, and no row.

    It fails while PostgreSQL is away, the role lacks a right, a migration is missing, or somebody dropped a column this
    version needs: the last one is how a migration that breaks the live release shows before anybody is served by it.
    """

    async def check() -> None:
        async with engine.connect() as connection:
            for table in Base.metadata.sorted_tables:
                await connection.execute(select(*table.columns).limit(0))

    return check


def check_redis(redis: Redis) -> Check:
    async def check() -> None:
        await redis.ping()

    return check


class Health:
    """The three pages. `draining` is set when the process was told to stop."""

    def __init__(self, identity: Identity, checks: dict[str, Check]) -> None:
        self.draining = False
        self._identity = identity
        self._checks = checks
        self._lock = asyncio.Lock()
        self._results: dict[str, str] = {}
        self._asked_at = float("-inf")

    async def live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def version(self, _: web.Request) -> web.Response:
        who = self._identity
        return web.json_response(
            {"version": who.version, "release": who.release, "colour": who.colour, "build": who.build}
        )

    async def ready(self, _: web.Request) -> web.Response:
        async with self._lock:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                results = await asyncio.gather(*(self._run(name) for name in self._checks))
                self._results = dict(zip(self._checks, results, strict=True))
                self._asked_at = time.monotonic()
        if self.draining:
            status = "draining"
        else:
            status = "ready" if all(result == "ok" for result in self._results.values()) else "not ready"
        body = {"status": status, "checks": self._results}
        return web.json_response(body, status=200 if status == "ready" else 503)

    async def _run(self, name: str) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._checks[name]()
        except TimeoutError:
            result = f"no answer in {CHECK_SECONDS:g} s"
        except Exception as error:
            result = _reason(error)
            if result != self._results.get(name):
                log.warning("not ready", exc_info=True, extra={"fields": {"check": name}})
        else:
            result = "ok"
        if result != self._results.get(name, result):
            log.info("check changed", extra={"fields": {"check": name, "result": result}})
        return result


def _reason(error: Exception) -> str:
    """What failed, on one line: the driver's own error rather than SQLAlchemy's wrapping of it."""
    cause = getattr(error, "orig", None) or error
    cause = cause.__cause__ or cause
    first = str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {first}"[:200]
