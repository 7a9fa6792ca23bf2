"""/stale: your own listings that nobody buys. The worker reminds their sellers of them. New in 1.2.0."""

from aiogram import Router
from aiogram.filters import Command
from aiogram.methods import SendMessage
from aiogram.types import Message
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..models import Listing
from ..reminders import stale

router = Router(name="reminders")


@router.message(Command("stale"))
async def mine(message: Message, session: AsyncSession) -> SendMessage | None:
    if message.from_user is None:
        return None
    found = await session.scalars(
        select(Listing)
        .where(Listing.seller_id == message.from_user.id, stale())
        .order_by(Listing.id)
        .limit(10)
    )
    lines = [f"#{item.id} {item.title}" for item in found]
    return message.answer("\n".join(lines) or "Nothing of yours has waited for a week.")
