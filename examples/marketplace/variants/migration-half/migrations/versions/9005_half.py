"""Commits its first half, then fails: a table stays, and no revision tells of it."""

from pathlib import Path

from alembic import op

revision = "9005"
# Follows whatever the image it is laid over has.
down_revision = max(file.name[:4] for file in Path(__file__).parent.glob("0*.py"))
branch_labels = None
depends_on = None
transactional = False


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE TABLE IF NOT EXISTS half_done (id integer)")
        op.execute("SELECT 1 / 0")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS half_done")
