"""Add the limits that all processes share: how many jobs a caller makes, and how often services are asked."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
-- What a crash of the database forgets is a minute old at most.
CREATE UNLOGGED TABLE shelfwire.admission (identity bytea PRIMARY KEY, times bigint[] NOT NULL) WITH (fillfactor = 50);
CREATE TABLE shelfwire.lane (
  name text COLLATE "C" PRIMARY KEY,
  begun bigint[] NOT NULL,
  held_until bigint NOT NULL,
  reason text NOT NULL
) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    """Add the tables."""
    op.get_bind().exec_driver_sql(TABLES)
