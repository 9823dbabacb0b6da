"""The tables, as the newest migration leaves them."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("run_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("caller", Text, nullable=False, server_default=""),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("lost_at", BigInteger),
    Column("created_at", BigInteger, nullable=False, server_default="0"),
    Column("code", Text),
    Column("label", Text),
    Index("job_by_turn", "status", "pipeline", "turn", "run_at", "caller"),
    Index("job_by_caller", "caller", "pipeline", "status", "turn"),
    Index("job_lost", "lost_at", sqlite_where=text("lost_at IS NOT NULL")),
    Index("job_seen", "created_at", "status", "pipeline", "code", "label"),
    Index("job_by_status", "status", "created_at"),
    Index("job_by_pipeline", "pipeline", "created_at", "status"),
    Index("job_by_code", "code", "created_at", sqlite_where=text("code IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""One row per job: `state` is the JSON of `protocol.job.JobState`; queries use the other columns."""

queue = Table(
    "queue",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("turn", BigInteger, nullable=False),
)
"""The highest turn that was claimed in the queue of each pipeline; see `protocol.job.next_turn`."""

item = Table(
    "item",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("ok", Boolean, nullable=False),
    Column("title", Text),
    Column("body", Text, nullable=False),
    Column("source", Integer),
    sqlite_with_rowid=False,
)
"""The item logs. The primary key ensures that an item is recorded once."""

ending = Table(
    "ending",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("message", Text, nullable=False),
)
"""The terminal messages, byte for byte."""

grant = Table(
    "grant",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("job_id", Text, nullable=False, index=True),
    Column("scopes", JSON, nullable=False),
    Column("expires_at", BigInteger),
    Column("ttl", BigInteger),
    Column("attempt", Integer),
)
"""The tokens, by digest."""

input_part = Table(
    "input_part",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
"""The inputs, in parts; parts whose job has no row are leftovers of an interrupted upload."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("job_id", Text, nullable=False, index=True),
    Column("fingerprint", LargeBinary, nullable=False),
)
"""The job created under each idempotency key, and the fingerprint of its request."""

tag = Table(
    "job_tag",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("created_at", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", Text, primary_key=True, index=True),
    sqlite_with_rowid=False,
)
"""The tags of jobs, which never change."""

audit = Table(
    "audit",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("job_id", Text),
    Column("outcome", Text, nullable=False),
    Column("details", Text),
    Index("audit_at", "at"),
    Index("audit_job", "job_id", "n"),
    Index("audit_key", "key", "n"),
)
"""What operators did; it outlives the jobs."""

tally = Table(
    "tally",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("bad", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Figures by the hour."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("made_at", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", Text, nullable=False),
    Column("url", Text),
    Column("host", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("give_up_at", BigInteger, nullable=False),
    Column("held_until", BigInteger, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("ended_at", BigInteger),
    Column("last_error", Text),
    Index("outbox_due", "host", "due_at", sqlite_where=text("status = 'waiting'")),
    Index("outbox_made", "status", "made_at", "id"),
)
"""What is to be told when jobs have ended; a row is a `jobs.outbox.Delivery`, and outlives its job."""

correction = Table(
    "correction",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What owners correct of items; see `jobs.corrections`."""

OWNED = (ending, grant, idempotency, tag, correction)
"""The tables whose rows are erased with their job."""

BULKY = (input_part, item)
"""The tables whose rows are erased once their job is gone."""

meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
"""About the database itself: `min_reader` is the oldest revision whose versions may use it."""
