"""Run by Alembic: on the connection that ``registry_schema`` has opened, in its transaction."""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    version_table=attributes["version_table"],
    version_table_schema=attributes["schema"],
    # SQLite's changes of tables are part of the transaction, too.
    transactional_ddl=attributes["connection"].dialect.name in ("sqlite", "postgresql"),
)
with context.begin_transaction():
    context.run_migrations()
