"""Takes a minute: time enough to kill something in the middle."""

from pathlib import Path

from alembic import op

revision = "9003"
# Follows whatever the image it is laid over has.
down_revision = max(file.name[:4] for file in Path(__file__).parent.glob("0*.py"))
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE slow (id integer)")
    op.execute("SELECT pg_sleep(60)")


def downgrade() -> None:
    op.execute("DROP TABLE slow")
