"""Sends what committed transactions asked for, and forgets updates that Telegram no longer repeats.

Both colours may run this at once: a message is leased by one UPDATE with SKIP LOCKED, so no singleton worker is needed.
No transaction stays open during a call to Telegram, where it would stand in a migration's way. A sender that dies with
a lease lets it lapse, and the message is sent by the other: at least once.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter
from aiogram.methods import TelegramMethod
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .models import HandledUpdate, OutgoingMessage
from .replies import as_call, from_call

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
CALL_SECONDS = 10
LEASE = timedelta(seconds=60)
LONGEST_DELAY_SECONDS = 300
# About a day of trying: later, news of a sale only confuses.
GIVE_UP_AFTER_ATTEMPTS = 300
# Telegram drops a message after 24 h: a copy older than that can't come.
KEEP_UPDATES = timedelta(days=3)
FORGET_EVERY_SECONDS = 3600


def post(session: AsyncSession, method: TelegramMethod[Any], bot: Bot) -> None:
    """Ask for a Bot API call to be made once `session` has committed."""
    session.add(OutgoingMessage(call=as_call(method, bot)))


def delay(attempts: int) -> int:
    """Seconds until the next attempt after `attempts` failed ones: 2, 4, 8 ... 300."""
    return int(min(2.0 ** min(attempts, 30), LONGEST_DELAY_SECONDS))


class Outbox:
    """The sender. `run` ends soon after `stop`, at the latest when the call in hand has an answer."""

    def __init__(self, engine: AsyncEngine, bot: Bot) -> None:
        self._engine = engine
        self._bot = bot
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look now: a transaction has committed."""
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        forget_at = loop.time() + FORGET_EVERY_SECONDS
        waiting = False
        while not self._stopping:
            self._wake.clear()
            try:
                while not self._stopping and await self.send_one():
                    pass
                if loop.time() >= forget_at:
                    forget_at = loop.time() + FORGET_EVERY_SECONDS
                    await self.forget()
                waiting = False
            except Exception:
                # PostgreSQL is away or restarting: readiness says so, the messages are safe in it. Once is enough.
                if not waiting:
                    log.warning("outbox is waiting for the database", exc_info=True)
                waiting = True
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def send_one(self) -> bool:
        """Send the oldest message that is due. False if there is none."""
        due = (
            select(OutgoingMessage.id)
            .where(OutgoingMessage.due_at <= func.now())
            .order_by(OutgoingMessage.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        async with self._engine.begin() as connection:
            leased = (
                await connection.execute(
                    update(OutgoingMessage)
                    .where(OutgoingMessage.id == due)
                    .values(
                        due_at=func.now() + LEASE,
                        attempts=OutgoingMessage.attempts + 1,
                    )
                    .returning(OutgoingMessage.id, OutgoingMessage.call, OutgoingMessage.attempts)
                )
            ).one_or_none()
        if leased is None:
            return False
        again = await self._call(leased.id, dict(leased.call), leased.attempts)
        async with self._engine.begin() as connection:
            if again is None:
                await connection.execute(delete(OutgoingMessage).where(OutgoingMessage.id == leased.id))
            else:
                due_at = func.now() + timedelta(seconds=again)
                await connection.execute(
                    update(OutgoingMessage).where(OutgoingMessage.id == leased.id).values(due_at=due_at)
                )
        return True

    async def _call(self, message_id: int, call: dict[str, Any], attempts: int) -> int | None:
        """Make the call. None: done with it. A number: try again in so many seconds."""
        fields = {"outgoing_id": message_id, "method": call["method"], "attempts": attempts}
        try:
            await self._bot(from_call(call), request_timeout=CALL_SECONDS)
        except TelegramRetryAfter as error:
            log.warning("telegram asks to wait", extra={"fields": {**fields, "seconds": error.retry_after}})
            return error.retry_after
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            # No later attempt can succeed: the chat is gone, or the user blocked the bot.
            log.warning("telegram refused a message", extra={"fields": {**fields, "error": str(error)}})
            return None
        except Exception as error:
            if attempts >= GIVE_UP_AFTER_ATTEMPTS:
                log.error("message given up", exc_info=True, extra={"fields": fields})
                return None
            wait = delay(attempts)
            log.warning(
                "message not sent", extra={"fields": {**fields, "error": str(error), "seconds": wait}}
            )
            return wait
        log.info("message sent", extra={"fields": fields})
        return None

    async def forget(self) -> None:
        """Delete updates that Telegram can't repeat any more, a thousand at a time so that no lock lasts."""
        old = (
            select(HandledUpdate.update_id)
            .where(HandledUpdate.handled_at < func.now() - KEEP_UPDATES)
            .limit(1000)
            .with_for_update(skip_locked=True)
        )
        deleted = 1000
        while deleted >= 1000 and not self._stopping:
            async with self._engine.begin() as connection:
                result = await connection.execute(
                    delete(HandledUpdate).where(HandledUpdate.update_id.in_(old.scalar_subquery()))
                )
                deleted = result.rowcount
