"""Ids of the scorer's rows name their tenant."""

from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS = (("samples", "completion_id"), ("feedback", "event_id"), ("feedback", "completion_id"))


def upgrade() -> None:
    for table, column in COLUMNS:
        op.execute(f"UPDATE scorer.{table} SET {column} = 'default/' || {column}")  # noqa: S608 - our own names


def downgrade() -> None:
    """Fails where two tenants hold the same id, rather than lose one of them."""
    for table, column in COLUMNS:
        op.execute(f"UPDATE scorer.{table} SET {column} = substr({column}, strpos({column}, '/') + 1)")  # noqa: S608
