"""/top: what is liked most and still for sale. New in 1.4.0."""

from aiogram import Router
from aiogram.filters import Command
from aiogram.methods import SendMessage
from aiogram.types import Message
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..models import Listing

router = Router(name="top")


@router.message(Command("top"))
async def top(message: Message, session: AsyncSession) -> SendMessage:
    likes = Listing.__table__.c.likes
    found = (
        await session.execute(
            select(Listing.id, Listing.title, likes)
            .where(Listing.buyer_id.is_(None), likes > 0)
            .order_by(likes.desc(), Listing.id)
            .limit(5)
        )
    ).all()
    lines = [f"#{item.id} {item.title}, liked by {item.likes}" for item in found]
    return message.answer("\n".join(lines) or "Nothing is liked yet. /like NUMBER")
