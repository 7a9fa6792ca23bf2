"""Creates a table, then fails: nothing of it may remain."""

from pathlib import Path

from alembic import op

revision = "9001"
# Follows whatever the image it is laid over has.
down_revision = max(file.name[:4] for file in Path(__file__).parent.glob("0*.py"))
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE half_done (id integer)")
    op.execute("SELECT 1 / 0")


def downgrade() -> None:
    op.execute("DROP TABLE half_done")
