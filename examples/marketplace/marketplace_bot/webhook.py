"""POST from Telegram. 200 means: the update and its effect are committed, and Telegram may forget it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Any

from aiohttp import web
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from .logs import about_update

log = logging.getLogger(__name__)

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name, not a secret
# Telegram gives up after 60 s, the edge and our own stop earlier: answer before any of them.
ANSWER_SECONDS = 20
# Telegram obeys Retry-After. Without it, its own steps grow to 60-120 s, and the bot stays silent long after an outage.
RETRY_SECONDS = 3

Process = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]


class Webhook:
    """The handler. Any failure answers 5xx, so that Telegram keeps the update; never 410, which deletes the webhook."""

    def __init__(self, process: Process, secret: str) -> None:
        self._process = process
        self._secret = secret.encode()

    async def handle(self, request: web.Request) -> web.Response:
        given = request.headers.get(SECRET_HEADER, "").encode(errors="surrogateescape")
        if not compare_digest(given, self._secret):
            log.warning("webhook called with a wrong secret token")
            return web.json_response({"error": "wrong secret token"}, status=403)
        try:
            raw = await request.json()
        except ValueError:
            raw = None
        if not isinstance(raw, dict) or type(raw.get("update_id")) is not int:
            return web.json_response({"error": "the body is no update"}, status=400)
        with about_update(raw["update_id"]):
            return await self._answer(raw)

    async def _answer(self, raw: dict[str, Any]) -> web.Response:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reply = await self._process(raw)
        except (TimeoutError, OSError, RedisError, PoolTimeoutError) as error:
            return self._later(error)
        except DBAPIError as error:
            if isinstance(error, OperationalError) or error.connection_invalidated or _passing(error):
                return self._later(error)
            log.exception("update failed")
        except Exception:
            # A bug. Telegram keeps the update for 24 h and this chat waits: a fixed release still handles it.
            log.exception("update failed")
        else:
            return web.json_response(reply or {})
        return web.json_response({"error": "the update failed; see the log"}, status=500)

    @staticmethod
    def _later(error: Exception) -> web.Response:
        log.warning("update put off", extra={"fields": {"error": f"{type(error).__name__}: {error}"[:500]}})
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return web.json_response({"error": "try again"}, status=503, headers=headers)


def _passing(error: DBAPIError) -> bool:
    """Whether PostgreSQL's error passes by itself: connection, rollback, resources, locks, a stopping server."""
    state = str(getattr(error.orig, "sqlstate", "") or "")
    return state[:2] in ("08", "40", "53", "55", "57")
