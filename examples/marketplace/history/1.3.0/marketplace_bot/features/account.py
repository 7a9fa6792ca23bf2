"""/start registers; /about says which release answered; /help lists the commands."""

from aiogram import Router
from aiogram.filters import Command, CommandStart
from aiogram.fsm.context import FSMContext
from aiogram.methods import SendMessage
from aiogram.types import Message
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ..config import Identity
from ..models import User

router = Router(name="account")

HELP = "/sell an item, /browse what is for sale, /buy NUMBER, /mine for your own. /cancel stops a sale you began."


@router.message(CommandStart())
async def start(
    message: Message, session: AsyncSession, state: FSMContext, identity: Identity
) -> SendMessage | None:
    if message.from_user is None:
        return None
    user = message.from_user
    await state.clear()
    new = await session.scalar(
        insert(User).values(id=user.id, name=user.full_name).on_conflict_do_nothing().returning(User.id)
    )
    greeting = "Welcome" if new else "Welcome back"
    return message.answer(
        f"{greeting}, {user.first_name}! This is the marketplace, version {identity.build}.\n{HELP}"
    )


@router.message(Command("about"))
async def about(message: Message, identity: Identity) -> SendMessage:
    return message.answer(f"marketplace {identity.build}, release {identity.release}, {identity.colour}")


@router.message(Command("help"))
async def help_(message: Message) -> SendMessage:
    return message.answer(HELP)
