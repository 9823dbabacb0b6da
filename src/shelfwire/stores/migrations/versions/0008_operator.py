"""Add what jobs are found by, the audit, and the figures by the hour."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

MAX_LABEL = 200

job = sa.table("job", *map(sa.column, ("id", "state", "created_at", "code", "label")))


def upgrade() -> None:
    """Add columns, indexes and tables, and fill the columns. A row that cannot be read is the oldest."""
    op.add_column("job", sa.Column("created_at", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("code", sa.Text))
    op.add_column("job", sa.Column("label", sa.Text))
    _fill()
    op.create_index("job_seen", "job", ["created_at", "status", "pipeline", "code", "label"])
    op.create_index("job_by_status", "job", ["status", "created_at"])
    op.create_index("job_by_pipeline", "job", ["pipeline", "created_at", "status"])
    op.create_index("job_by_code", "job", ["code", "created_at"], sqlite_where=sa.text("code IS NOT NULL"))
    op.create_table(
        "job_tag",
        sa.Column("tag", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Index("ix_job_tag_job_id", "job_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("details", sa.Text),
        sa.Index("audit_at", "at"),
        sa.Index("audit_job", "job_id", "n"),
        sa.Index("audit_key", "key", "n"),
    )
    op.create_table(
        "tally",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("bad", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _fill() -> None:
    connection = op.get_bind()
    change = sa.update(job).where(job.c.id == sa.bindparam("job"))
    change = change.values({name: sa.bindparam(name) for name in ("created_at", "code", "label")})
    # As bytes: text that is no UTF-8 would break off the query, and keep the server from starting.
    job_ids, states = sa.cast(job.c.id, sa.LargeBinary), sa.cast(job.c.state, sa.LargeBinary)
    stored = connection.execute(sa.select(job_ids, states))
    rows = [{"job": job_id.decode(errors="replace"), **_found(state)} for job_id, state in stored]
    if rows:
        connection.execute(change, rows)


def _found(text: bytes) -> dict[str, Any]:
    try:
        state = json.loads(text)
        label = (state.get("metadata") or {}).get("fileName")
        return {
            "created_at": int(state["created_at"]),
            "code": (state.get("error") or {}).get("code"),
            "label": label and label.lower()[:MAX_LABEL].encode(errors="replace").decode(),
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        return {"created_at": 0, "code": None, "label": None}
