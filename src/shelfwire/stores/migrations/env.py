"""Alembic's entry point: it migrates over the connection it is handed."""

from alembic import context

from shelfwire.stores.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
