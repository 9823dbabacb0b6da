"""Token lifetimes, idempotency keys, and the source index of retried items."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("item", sa.Column("source", sa.Integer))
    op.add_column("grant", sa.Column("ttl", sa.BigInteger))
    op.create_table(
        "idempotency",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False, index=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    )
