"""`python -m marketplace_bot.digest`: tells each seller how many of their listings wait for a buyer. A scheduled job.

One transaction: killed at any moment, it has asked for all messages or for none. The outbox sends them.
"""

import logging
import sys

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from . import database
from .config import Config
from .models import Listing, OutgoingMessage
from .process import run

log = logging.getLogger(__name__)


async def digest(engine: AsyncEngine) -> int:
    """Ask for one message to each seller who has an open listing, and return how many."""
    text = func.concat("Waiting for a buyer: ", func.count(), " of your listings. See /mine")
    call = func.jsonb_build_object("method", "sendMessage", "chat_id", Listing.seller_id, "text", text)
    calls = select(call).where(Listing.buyer_id.is_(None)).group_by(Listing.seller_id)
    async with engine.begin() as connection:
        asked = await connection.execute(insert(OutgoingMessage).from_select(["call"], calls))
    return asked.rowcount


async def serve(config: Config) -> None:
    engine = database.pool(config.database, 1, "marketplace-digest")
    try:
        log.info("sellers are told", extra={"fields": {"messages": await digest(engine)}})
    finally:
        await engine.dispose()


if __name__ == "__main__":
    sys.exit(run(serve))
