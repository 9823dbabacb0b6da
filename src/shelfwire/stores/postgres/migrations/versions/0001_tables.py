"""Make the tables."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE shelfwire.meta (name text PRIMARY KEY, value text NOT NULL);
INSERT INTO shelfwire.meta VALUES ('min_reader', '0001');

-- Half of each page is left free, and no column that changes with every commit is in an index: such a change then
-- stays on its page and touches no index (HOT).
CREATE TABLE shelfwire.job (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE,
  pipeline text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  seq bigint NOT NULL,
  run_at bigint NOT NULL,
  lease_until bigint NOT NULL,
  expires_at bigint NOT NULL,
  caller text COLLATE "C" NOT NULL,
  turn bigint NOT NULL,
  lost_at bigint,
  code text COLLATE "C",
  label text COLLATE "C",
  node text,
  input_key uuid NOT NULL,
  state text NOT NULL
) WITH (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX job_queue ON shelfwire.job (pipeline, turn, run_at) WHERE status = 'queued';
CREATE INDEX job_caller ON shelfwire.job (caller, pipeline, turn) WHERE status = 'queued';
CREATE INDEX job_waiting ON shelfwire.job (run_at) WHERE status = 'queued';
CREATE INDEX job_held ON shelfwire.job (key) WHERE status IN ('running', 'canceling');
CREATE INDEX job_lost ON shelfwire.job (lost_at) WHERE lost_at IS NOT NULL;
CREATE INDEX job_expiry ON shelfwire.job (expires_at);
CREATE INDEX job_input ON shelfwire.job (input_key);
CREATE INDEX job_seen ON shelfwire.job (created_at, id) INCLUDE (key, status, pipeline, label);
CREATE INDEX job_by_status ON shelfwire.job (status, created_at, id);
CREATE INDEX job_by_pipeline ON shelfwire.job (pipeline, status, created_at, id);
CREATE INDEX job_by_code ON shelfwire.job (code, created_at, id) INCLUDE (status, pipeline) WHERE code IS NOT NULL;

CREATE TABLE shelfwire.queue (pipeline text COLLATE "C" PRIMARY KEY, turn bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE shelfwire.item (
  job_key bigint,
  index int,
  ok boolean NOT NULL,
  title text,
  body text NOT NULL,
  source int,
  PRIMARY KEY (job_key, index)
);
CREATE TABLE shelfwire.ending (job_key bigint PRIMARY KEY, message text NOT NULL);
CREATE TABLE shelfwire.token (
  digest bytea PRIMARY KEY,
  n bigint GENERATED ALWAYS AS IDENTITY,
  job_key bigint NOT NULL,
  scopes text NOT NULL,
  expires_at bigint,
  ttl bigint,
  attempt int
);
CREATE INDEX token_job ON shelfwire.token (job_key);
CREATE TABLE shelfwire.tag (
  tag text COLLATE "C",
  created_at bigint,
  id text COLLATE "C",
  job_key bigint NOT NULL,
  PRIMARY KEY (tag, created_at, id)
);
CREATE INDEX tag_job ON shelfwire.tag (job_key);
CREATE TABLE shelfwire.idempotency (key bytea PRIMARY KEY, job_key bigint NOT NULL, fingerprint bytea NOT NULL);
CREATE INDEX idempotency_job ON shelfwire.idempotency (job_key);
CREATE TABLE shelfwire.selection (job_key bigint PRIMARY KEY, indices int[] NOT NULL);
CREATE TABLE shelfwire.kept (job_key bigint, name text, data bytea NOT NULL, PRIMARY KEY (job_key, name));

-- Inputs are kept as they are: photos do not become smaller.
CREATE TABLE shelfwire.input_part (
  input_key uuid,
  name text COLLATE "C",
  part int,
  data bytea NOT NULL,
  PRIMARY KEY (input_key, name, part)
);
ALTER TABLE shelfwire.input_part ALTER data SET STORAGE EXTERNAL;
CREATE TABLE shelfwire.mended (job_key bigint, name text COLLATE "C", data bytea NOT NULL, PRIMARY KEY (job_key, name));
CREATE TABLE shelfwire.upload (input_key uuid PRIMARY KEY, written_at bigint NOT NULL);
CREATE TABLE shelfwire.remains (job_key bigint PRIMARY KEY, input_key uuid NOT NULL);
CREATE TABLE shelfwire.farewell (
  job_key bigint PRIMARY KEY,
  id text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  state text NOT NULL,
  message text NOT NULL,
  gone_at bigint NOT NULL
);
CREATE INDEX farewell_id ON shelfwire.farewell (id, created_at);

CREATE TABLE shelfwire.outbox (
  id text COLLATE "C",
  made_at bigint,
  job_id text NOT NULL,
  url text,
  host text COLLATE "C" NOT NULL,
  body text NOT NULL,
  due_at bigint NOT NULL,
  give_up_at bigint NOT NULL,
  held_until bigint NOT NULL,
  tries int NOT NULL,
  status text COLLATE "C" NOT NULL,
  ended_at bigint,
  last_error text,
  PRIMARY KEY (id, made_at)
);
CREATE INDEX outbox_due ON shelfwire.outbox (host, due_at) WHERE status = 'waiting';
CREATE INDEX outbox_made ON shelfwire.outbox (made_at, id);
CREATE INDEX outbox_old ON shelfwire.outbox ((coalesce(ended_at, give_up_at)));
CREATE TABLE shelfwire.audit (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL,
  key text NOT NULL,
  action text NOT NULL,
  job_id text,
  outcome text NOT NULL,
  details text
);
CREATE INDEX audit_at ON shelfwire.audit (at);
CREATE INDEX audit_job ON shelfwire.audit (job_id, n);
CREATE INDEX audit_key ON shelfwire.audit (key, n);
CREATE TABLE shelfwire.tally (
  hour bigint,
  name text,
  bad bigint NOT NULL,
  total bigint NOT NULL,
  PRIMARY KEY (hour, name)
);

CREATE TABLE shelfwire.probe (node text PRIMARY KEY, at bigint NOT NULL) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    """Make the tables, their indexes and what they begin with."""
    op.get_bind().exec_driver_sql(TABLES)
