"""Drops the column `users.username`. 1.3.0 still selects it: this is the contract step, taken in one with the code."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
breaking = True
# Nothing is lost: 0004 has emptied it. So it can be taken back, and is empty then.


def upgrade() -> None:
    op.drop_column("users", "username")


def downgrade() -> None:
    op.add_column("users", sa.Column("username", sa.Text))
