"""From an update to its effect, exactly once.

Telegram delivers at least once: it repeats an update that was not answered with 2xx within 60 s, even if the work was
done. So the update_id is written in the SAME transaction as the effect, and the answer comes after the commit. A
second copy that arrives while the first is at work waits on the unique key; if the first commits, the copy gets its
stored reply, and if the first fails, the copy does the work.

Messages are at least once, in both ways they leave: the reply rides in the webhook's answer (no second round trip, and
nothing to send if the transaction fails) and is stored, so a repeated update gets the same words; anything for somebody
else is an `OutgoingMessage` of the same transaction, sent afterwards by `outbox`. A user may see a message twice after
a crash; nobody ever buys twice.
"""

import logging
import time
from typing import Any, cast

from aiogram import Bot, Dispatcher
from aiogram.methods import TelegramMethod
from aiogram.types import Update
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from .dialogue import Dialogues
from .models import HandledUpdate
from .outbox import Outbox
from .replies import as_call

log = logging.getLogger(__name__)

Reply = dict[str, Any] | None


class Processor:
    """Handles updates one transaction each."""

    def __init__(
        self, engine: AsyncEngine, dispatcher: Dispatcher, bot: Bot, dialogues: Dialogues, outbox: Outbox
    ):
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._dispatcher = dispatcher
        self._bot = bot
        self._dialogues = dialogues
        self._outbox = outbox

    async def process(self, raw: dict[str, Any]) -> Reply:
        """Make the update's effect, unless it is made already, and return the Bot API call to answer with.

        Raises whatever the handler, PostgreSQL or Redis raised; then nothing is committed, or it is committed and the
        next delivery of the same update completes it.
        """
        started = time.monotonic()
        update_id: int = raw["update_id"]
        async with self._sessions() as session, session.begin():
            first = await session.scalar(
                insert(HandledUpdate)
                .values(update_id=update_id)
                .on_conflict_do_nothing()
                .returning(HandledUpdate.update_id)
            )
            if first is None:
                row = (
                    await session.execute(
                        select(HandledUpdate.reply, HandledUpdate.dialogue).where(
                            HandledUpdate.update_id == update_id
                        )
                    )
                ).one()
                reply, steps = cast(Reply, row.reply), row.dialogue or []
            else:
                reply, steps = await self._effect(session, raw)
        await self._dialogues.apply(update_id, steps)
        self._outbox.wake()
        fields = {"duplicate": first is None, "milliseconds": round((time.monotonic() - started) * 1000, 1)}
        log.info("update handled", extra={"fields": fields})
        return reply

    async def _effect(self, session: AsyncSession, raw: dict[str, Any]) -> tuple[Reply, list[dict[str, Any]]]:
        parsed = Update.model_validate(raw, context={"bot": self._bot})
        with self._dialogues.collect() as changes:
            result = await self._dispatcher.feed_update(self._bot, parsed, session=session)
        reply = as_call(result, self._bot) if isinstance(result, TelegramMethod) else None
        steps = changes.to_rows()
        if reply or steps:
            await session.execute(
                update(HandledUpdate)
                .where(HandledUpdate.update_id == parsed.update_id)
                .values(reply=reply, dialogue=steps)
            )
        return reply, steps
