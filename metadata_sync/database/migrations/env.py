"""Alembic runs the migrations inside the transaction of whoever opens the database: all of them or none."""

from alembic import context

from metadata_sync.database.tables import metadata
from metadata_sync.database.upgrade import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
