"""/sell asks for a title and a price; /browse, /buy and /mine do the rest."""

import re

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State, StatesGroup
from aiogram.methods import AnswerCallbackQuery, SendMessage
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..models import Listing, User
from ..outbox import post

router = Router(name="trading")

LONGEST_TITLE = 120
HIGHEST_PRICE_CENTS = 100_000_000
PAGE = 10
REGISTER_FIRST = "I don't know you yet. Send /start first."


class Sale(StatesGroup):
    title = State()
    price = State()


def parse_price(text: str) -> int | None:
    """Cents from `12`, `12.5` or `12,50`; None if it is no price above zero."""
    match = re.fullmatch(r"(\d{1,7})(?:[.,](\d{1,2}))?", text.strip(), re.ASCII)
    if not match:
        return None
    cents = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))
    return cents if 0 < cents <= HIGHEST_PRICE_CENTS else None


def price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


async def _registered(session: AsyncSession, user_id: int) -> bool:
    return await session.get(User, user_id) is not None


@router.message(Command("cancel"))
async def cancel(message: Message, state: FSMContext) -> SendMessage:
    began = await state.get_state() is not None
    await state.clear()
    return message.answer("Cancelled." if began else "There is nothing to cancel.")


@router.message(Command("sell"))
async def sell(message: Message, session: AsyncSession, state: FSMContext) -> SendMessage | None:
    if message.from_user is None:
        return None
    if not await _registered(session, message.from_user.id):
        return message.answer(REGISTER_FIRST)
    await state.clear()
    await state.set_state(Sale.title)
    return message.answer("What do you sell? Send me a title.")


@router.message(Sale.title, F.text, ~F.text.startswith("/"))
async def title(message: Message, state: FSMContext) -> SendMessage:
    text = " ".join((message.text or "").split())
    if not 1 <= len(text) <= LONGEST_TITLE:
        return message.answer(f"A title has 1 to {LONGEST_TITLE} characters. Try again.")
    await state.update_data(title=text)
    await state.set_state(Sale.price)
    return message.answer(f"And the price of {text}? For example 12.50")


@router.message(Sale.price, F.text, ~F.text.startswith("/"))
async def asked_price(message: Message, session: AsyncSession, state: FSMContext) -> SendMessage | None:
    if message.from_user is None:
        return None
    cents = parse_price(message.text or "")
    if cents is None:
        return message.answer("That is no price. Send a number above zero, for example 12.50")
    listing = Listing(
        seller_id=message.from_user.id,
        title=str(await state.get_value("title")),
        price_cents=cents,
        buyer_id=None,
    )
    session.add(listing)
    await session.flush()
    await state.clear()
    return message.answer(f"Listed #{listing.id}: {listing.title} for {price(cents)}")


@router.message(Command("browse"))
async def browse(message: Message, session: AsyncSession) -> SendMessage:
    found = (
        await session.scalars(
            select(Listing).where(Listing.buyer_id.is_(None)).order_by(Listing.id.desc()).limit(PAGE)
        )
    ).all()
    if not found:
        return message.answer("Nothing is for sale. /sell something!")
    buttons = [
        [InlineKeyboardButton(text=f"Buy #{item.id}", callback_data=f"buy:{item.id}")] for item in found
    ]
    return message.answer(
        "\n".join(f"#{item.id} {item.title}: {price(item.price_cents)}" for item in found),
        reply_markup=InlineKeyboardMarkup(inline_keyboard=buttons),
    )


async def purchase(session: AsyncSession, bot: Bot, buyer_id: int, listing_id: int) -> str:
    """Buy, if it is open and somebody else's. The one UPDATE decides between two buyers."""
    bought = await session.scalar(
        update(Listing)
        .where(Listing.id == listing_id, Listing.buyer_id.is_(None), Listing.seller_id != buyer_id)
        .values(buyer_id=buyer_id)
        .returning(Listing)
    )
    if bought is None:
        listing = await session.get(Listing, listing_id)
        if listing is None:
            return f"There is no #{listing_id}. See /browse."
        if listing.buyer_id is None:
            return f"#{listing_id} is your own."
        return f"#{listing_id} is sold already."
    post(session, SendMessage(chat_id=bought.seller_id, text=f"Sold #{bought.id}: {bought.title}"), bot)
    return f"You bought #{bought.id}: {bought.title} for {price(bought.price_cents)}"


@router.message(Command("buy"))
async def buy(
    message: Message, command: CommandObject, session: AsyncSession, bot: Bot
) -> SendMessage | None:
    if message.from_user is None:
        return None
    wanted = re.fullmatch(r"#?(\d{1,18})", (command.args or "").strip(), re.ASCII)
    if not wanted:
        return message.answer("Which one? For example /buy 7")
    if not await _registered(session, message.from_user.id):
        return message.answer(REGISTER_FIRST)
    return message.answer(await purchase(session, bot, message.from_user.id, int(wanted[1])))


@router.callback_query(F.data.regexp(r"^buy:(\d{1,18})$"))
async def buy_button(query: CallbackQuery, session: AsyncSession, bot: Bot) -> AnswerCallbackQuery:
    if not await _registered(session, query.from_user.id):
        return query.answer(REGISTER_FIRST)
    answer = await purchase(session, bot, query.from_user.id, int((query.data or "").removeprefix("buy:")))
    # The button's answer is a passing note; the message stays in the chat.
    post(session, SendMessage(chat_id=query.from_user.id, text=answer), bot)
    return query.answer(answer[:200])


@router.message(Command("mine"))
async def mine(message: Message, session: AsyncSession) -> SendMessage | None:
    if message.from_user is None:
        return None
    me = message.from_user.id
    found = (
        await session.scalars(
            select(Listing)
            .where(or_(Listing.seller_id == me, Listing.buyer_id == me))
            .order_by(Listing.id.desc())
            .limit(PAGE)
        )
    ).all()
    if not found:
        return message.answer("You have sold and bought nothing yet.")
    return message.answer("\n".join(f"#{item.id} {item.title}: {_standing(item, me)}" for item in found))


def _standing(item: Listing, me: int) -> str:
    if item.buyer_id == me:
        return f"bought for {price(item.price_cents)}"
    return (
        f"for sale at {price(item.price_cents)}"
        if item.buyer_id is None
        else f"sold for {price(item.price_cents)}"
    )
