"""Add the attempts that tokens are valid for, and when jobs fail for want of a worker."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a column to both tables, and an index of the jobs that may fail."""
    op.add_column("job", sa.Column("lost_at", sa.BigInteger))
    op.create_index("job_lost", "job", ["lost_at"], sqlite_where=sa.text("lost_at IS NOT NULL"))
    op.add_column("grant", sa.Column("attempt", sa.Integer))
