"""Needs `users` for itself: with anybody in it, a reader too, its wait for the lock runs out."""

from pathlib import Path

from alembic import op

revision = "9004"
# Follows whatever the image it is laid over has.
down_revision = max(file.name[:4] for file in Path(__file__).parent.glob("0*.py"))
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE locks (id integer)")
    op.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")


def downgrade() -> None:
    op.execute("DROP TABLE locks")
