"""Forgets usernames, which 1.3.0 neither shows nor keeps. 1.2.0 works on without them."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
reversible = False
loses = "the usernames of all users"


def upgrade() -> None:
    # One statement: a bot's users are few. Millions would go in batches, by the application.
    op.execute("UPDATE users SET username = NULL WHERE username IS NOT NULL")


def downgrade() -> None:
    raise NotImplementedError("nobody knows the usernames any more")
