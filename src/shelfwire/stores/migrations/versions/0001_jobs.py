"""Jobs, item logs, endings, grants and inputs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "job",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("state", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("job_by_turn", "job", ["status", "run_at"])
    op.create_table(
        "item",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ending",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
    )
    op.create_table(
        "grant",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False, index=True),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
    )
    op.create_table(
        "input_part",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
