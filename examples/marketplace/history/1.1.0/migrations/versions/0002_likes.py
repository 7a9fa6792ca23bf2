"""Likes. Expand only: a new table, and a column with a default that 1.0.0 need not know."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
loses = "who likes what, and how many like a listing"


def upgrade() -> None:
    # A constant default rewrites no row: the lock on `listings` is held for a moment.
    op.add_column("listings", sa.Column("likes", sa.Integer, server_default="0", nullable=False))
    op.create_table(
        "likes",
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("listing_id", sa.BigInteger, sa.ForeignKey("listings.id"), primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("likes")
    op.drop_column("listings", "likes")
