"""Alembic's entry point: it migrates over the connection it is handed, in the transaction that is open on it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="shelfwire")
context.run_migrations()
