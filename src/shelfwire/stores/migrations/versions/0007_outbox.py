"""Add what is to be told when jobs end."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table, and an index of what is still to be told."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("made_at", sa.BigInteger, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("give_up_at", sa.BigInteger, nullable=False),
        sa.Column("held_until", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("last_error", sa.Text),
    )
    op.create_index("outbox_due", "outbox", ["host", "due_at"], sqlite_where=sa.text("status = 'waiting'"))
    op.create_index("outbox_made", "outbox", ["status", "made_at", "id"])
