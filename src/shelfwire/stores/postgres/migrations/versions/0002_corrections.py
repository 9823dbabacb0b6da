"""Add what owners correct of items."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLE = """
CREATE TABLE shelfwire.correction (job_key bigint, index int, body text NOT NULL, PRIMARY KEY (job_key, index));
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLE)
