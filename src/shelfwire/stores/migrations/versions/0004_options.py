"""Put the options of imports and scans, each an input of its own before, into the one input with a job's options."""

import json
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

OPTIONS = "options"
VALUES: dict[str, dict[str, dict[bytes, Any]]] = {
    "csv_import": {
        "gemini": {b"auto": "auto", b"always": "always", b"never": "never"},
        "enrich": {b"true": True},
    },
    "ai_scan": {"enrich": {b"true": True}},
}
"""The options that there were: by pipeline and name, their values by the content of the input."""

job = sa.table("job", sa.column("id"), sa.column("pipeline"))
part = sa.table("input_part", *map(sa.column, ("job_id", "name", "part", "data")))


def upgrade() -> None:
    """Move the options of every job, ended ones too: a retry takes them over."""
    connection = op.get_bind()
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for pipeline, options in VALUES.items():
        rows = (
            sa.select(part.c.job_id, part.c.name, part.c.data)
            .join(job, job.c.id == part.c.job_id)
            .where(job.c.pipeline == pipeline, part.c.name.in_(options))
        )
        for job_id, name, data in connection.execute(rows):
            if data in options[name]:
                found[job_id][name] = options[name][data]
    for job_id, given in found.items():
        own = part.c.job_id == job_id
        connection.execute(sa.delete(part).where(own, part.c.name.in_([OPTIONS, *given])))
        row = {"job_id": job_id, "name": OPTIONS, "part": 0, "data": json.dumps(given, sort_keys=True).encode()}
        connection.execute(sa.insert(part), row)
