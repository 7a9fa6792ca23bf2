"""The tables every version has. A feature may add its own."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Integer, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
    }


class User(Base):
    """Somebody who sent /start. `id` is Telegram's user id."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    registered_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Listing(Base):
    """An item for sale. It is open while `buyer_id` is null."""

    __tablename__ = "listings"
    __table_args__ = (Index("listings_open", "id", postgresql_where=text("buyer_id IS NULL")),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    seller_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    title: Mapped[str]
    price_cents: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    buyer_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)


class HandledUpdate(Base):
    """An update whose effect is committed, with what is needed to answer it again in the same way."""

    __tablename__ = "handled_updates"

    update_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    handled_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    reply: Mapped[dict[str, Any] | None]
    dialogue: Mapped[list[dict[str, Any]] | None]


class OutgoingMessage(Base):
    """A Bot API call that must happen because a transaction committed. Deleted when Telegram has taken it."""

    __tablename__ = "outgoing_messages"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    call: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
