"""/privacy says what the bot keeps of you. New in 1.3.0, which keeps less: no usernames."""

from aiogram import Router
from aiogram.filters import Command
from aiogram.methods import SendMessage
from aiogram.types import Message
from sqlalchemy.ext.asyncio import AsyncSession

from ..models import User

router = Router(name="privacy")


@router.message(Command("privacy"))
async def privacy(message: Message, session: AsyncSession) -> SendMessage | None:
    if message.from_user is None:
        return None
    user = await session.get(User, message.from_user.id)
    if user is None:
        return message.answer("I know nothing of you.")
    return message.answer(
        f"I know you as {user.name} since {user.registered_at:%d %B %Y}, and what you sell and buy."
    )
