"""Listings that nobody buys, and the worker that reminds their sellers. New in 1.2.0. Knows nothing of aiogram."""

from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, DateTime, Identity, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from .models import Base, Listing, OutgoingMessage

AFTER = timedelta(days=7)
AT_ONCE = 50

Listing.reminded_at = Column("reminded_at", DateTime(timezone=True))  # type: ignore[attr-defined]


class WorkerRun(Base):
    """One process of the worker: which release's it was, and from when to when. `ended_at` is null if it was killed."""

    __tablename__ = "worker_runs"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    release: Mapped[str]
    version: Mapped[str]
    colour: Mapped[str]
    container: Mapped[str]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


def stale() -> ColumnElement[bool]:
    """Whether a listing is open for longer than AFTER."""
    return and_(Listing.buyer_id.is_(None), Listing.created_at < func.now() - AFTER)


async def remind(engine: AsyncEngine) -> int:
    """Ask for one message to the seller of each listing whose time it is, and return how many: AT_ONCE at most.

    The mark and the message are one transaction, and the outbox sends it.
    """
    marked = Listing.__table__.c.reminded_at
    due = (
        select(Listing.id)
        .where(stale(), or_(marked.is_(None), marked < func.now() - AFTER))
        .order_by(Listing.id)
        .limit(AT_ONCE)
        .scalar_subquery()
    )
    async with engine.begin() as connection:
        found = (
            await connection.execute(
                update(Listing)
                .where(Listing.id.in_(due))
                .values({marked: func.now()})
                .returning(Listing.id, Listing.seller_id, Listing.title)
            )
        ).all()
        calls = [
            {
                "method": "sendMessage",
                "chat_id": row.seller_id,
                "text": f"Nobody has bought #{row.id} {row.title} yet.",
            }
            for row in found
        ]
        if calls:
            await connection.execute(insert(OutgoingMessage), [{"call": call} for call in calls])
    return len(found)
