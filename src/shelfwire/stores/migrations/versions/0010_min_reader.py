"""Add which versions may use the data, so that an older one refuses only what it cannot read."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table."""
    meta = op.create_table(
        "meta", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.bulk_insert(meta, [{"name": "min_reader", "value": "0010"}])
