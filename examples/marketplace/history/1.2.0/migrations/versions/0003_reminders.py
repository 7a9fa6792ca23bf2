"""Reminders. Expand only: a nullable column and a table, which older versions need not know."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
# Taken back, it loses nothing that anybody would miss: some sellers are reminded twice.


def upgrade() -> None:
    op.add_column("listings", sa.Column("reminded_at", sa.DateTime(timezone=True)))
    op.create_table(
        "worker_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("colour", sa.Text, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    op.drop_table("worker_runs")
    op.drop_column("listings", "reminded_at")
