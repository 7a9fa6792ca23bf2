"""Renames a column the running version needs: contract before expand. The live release is not ready afterwards."""

from pathlib import Path

from alembic import op

revision = "9002"
# Follows whatever the image it is laid over has.
down_revision = max(file.name[:4] for file in Path(__file__).parent.glob("0*.py"))
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("listings", "title", new_column_name="headline")


def downgrade() -> None:
    op.alter_column("listings", "headline", new_column_name="title")
