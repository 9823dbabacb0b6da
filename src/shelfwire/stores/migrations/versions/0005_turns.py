"""Add who a job is for and its turn, and order each pipeline's queue by turns."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add columns, table and index. Jobs that wait keep their order: of one turn, the longest waiting is first."""
    op.add_column("job", sa.Column("caller", sa.Text, nullable=False, server_default=""))
    op.add_column("job", sa.Column("turn", sa.BigInteger, nullable=False, server_default="0"))
    op.drop_index("job_by_turn", "job")
    op.create_index("job_by_turn", "job", ["status", "pipeline", "turn", "run_at", "caller"])
    op.create_table(
        "queue",
        sa.Column("pipeline", sa.Text, primary_key=True),
        sa.Column("turn", sa.BigInteger, nullable=False),
    )
    op.create_index("job_by_caller", "job", ["caller", "pipeline", "status", "turn"])
