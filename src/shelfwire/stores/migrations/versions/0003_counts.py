"""Add the pipeline to the index `job_by_turn`, so that jobs are counted without reading their rows."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Replace the index by one with a further column."""
    op.drop_index("job_by_turn", "job")
    op.create_index("job_by_turn", "job", ["status", "pipeline", "run_at"])
