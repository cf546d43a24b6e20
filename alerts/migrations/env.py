"""Alembic runs this file by its name. The connection is handed in by `alerts/database.py`, which owns the transaction."""

from alembic import context

from alerts.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
