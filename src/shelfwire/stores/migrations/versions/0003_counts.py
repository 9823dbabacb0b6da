"""The pipeline in the index of whose turn it is, so that jobs are counted without reading their rows."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index anew, one column wider."""
    op.drop_index("job_by_turn", "job")
    op.create_index("job_by_turn", "job", ["status", "pipeline", "run_at"])
