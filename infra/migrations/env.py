"""Alembic's entry: runs the revisions on the connection that `infra.database_migration` hands over.

The alignment of tables and revisions is a test's business (tests/integration), so no metadata is loaded here.
"""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="public", transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
