"""/like NUMBER and /liked. New in 1.1.0: the `likes` table, and a counter on each listing."""

import re

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.methods import SendMessage
from aiogram.types import Message
from sqlalchemy import Column, ForeignKey, Integer, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ..models import Base, Listing, User

router = Router(name="favourites")

# 1.0.0 writes listings too and knows no such column: the default in the database fills it.
Listing.likes = Column("likes", Integer, nullable=False, server_default="0")  # type: ignore[attr-defined]


class Like(Base):
    __tablename__ = "likes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listings.id"), primary_key=True)


@router.message(Command("like"))
async def like(message: Message, command: CommandObject, session: AsyncSession) -> SendMessage | None:
    if message.from_user is None:
        return None
    wanted = re.fullmatch(r"#?(\d{1,18})", (command.args or "").strip(), re.ASCII)
    if not wanted:
        return message.answer("Which one? For example /like 7")
    listing = await session.get(Listing, int(wanted[1]))
    if listing is None or await session.get(User, message.from_user.id) is None:
        return message.answer(f"There is no #{wanted[1]}, or you have not sent /start.")
    new = await session.scalar(
        insert(Like)
        .values(user_id=message.from_user.id, listing_id=listing.id)
        .on_conflict_do_nothing()
        .returning(Like.listing_id)
    )
    if new:
        column = Listing.__table__.c.likes
        await session.execute(update(Listing).where(Listing.id == listing.id).values({column: column + 1}))
    return message.answer(f"You like #{listing.id} {listing.title}")


@router.message(Command("liked"))
async def liked(message: Message, session: AsyncSession) -> SendMessage | None:
    if message.from_user is None:
        return None
    found = await session.scalars(
        select(Listing)
        .join(Like, Like.listing_id == Listing.id)
        .where(Like.user_id == message.from_user.id)
        .order_by(Listing.id.desc())
        .limit(10)
    )
    lines = [f"#{item.id} {item.title}" for item in found]
    return message.answer("\n".join(lines) or "You like nothing yet. /like NUMBER")
