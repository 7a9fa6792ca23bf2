"""Users, listings, handled updates and outgoing messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
loses = "all users, listings, updates and messages"


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("username", sa.Text),
        _now("registered_at"),
    )
    op.create_table(
        "listings",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("seller_id", sa.BigInteger, sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("price_cents", sa.BigInteger, sa.CheckConstraint("price_cents > 0"), nullable=False),
        _now("created_at"),
        sa.Column("buyer_id", sa.BigInteger, sa.ForeignKey("users.id"), index=True),
    )
    op.create_index("listings_open", "listings", ["id"], postgresql_where=sa.text("buyer_id IS NULL"))
    op.create_table(
        "handled_updates",
        sa.Column("update_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column(
            "handled_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False, index=True
        ),
        sa.Column("reply", postgresql.JSONB),
        sa.Column("dialogue", postgresql.JSONB),
    )
    op.create_table(
        "outgoing_messages",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("call", postgresql.JSONB, nullable=False),
        _now("created_at"),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False, index=True
        ),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
    )


def downgrade() -> None:
    for table in ("outgoing_messages", "handled_updates", "listings", "users"):
        op.drop_table(table)
