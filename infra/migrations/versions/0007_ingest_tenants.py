"""Ingest by tenant: keys, declarations, what retention has deleted, and dead letters that can be handled."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

AGED = ("completions", "feedback", "deliveries", "dead_letters")
LETTER_ID = """
    UPDATE ingest.dead_letters SET received_at = set_aside_at, whole = length(payload) < 20000, letter_id =
    left(encode(sha256(convert_to(topic || '/' || "partition" || '@' || "offset" || '.' || "position"
                                  || '#' || payload_sha256, 'UTF8')), 'hex'), 16)
"""


def add(table: str, name: str, kind: sa.types.TypeEngine, existing: object) -> None:
    """A column that existing rows have and new ones must state."""
    op.add_column(table, sa.Column(name, kind, nullable=False, server_default=existing), schema="ingest")
    op.alter_column(table, name, server_default=None, schema="ingest")


def upgrade() -> None:
    for table in AGED:
        add(table, "tenant", sa.String(), "default")
        if table != "feedback":
            add(table, "received_at", sa.DateTime(timezone=True), sa.func.now())
        index = f"ix_{table}_received_at"
        op.create_index(index, table, ["received_at"], schema="ingest", postgresql_using="brin")
    for table, name in (("completions", "completion_id"), ("feedback", "event_id")):
        op.drop_constraint(f"{table}_pkey", table, schema="ingest")
        op.create_primary_key(f"{table}_pkey", table, ["tenant", name], schema="ingest")
    add("feedback", "payload_sha256", sa.String(), "")
    op.drop_index("ix_feedback_completion_id_state", "feedback", schema="ingest")
    columns = ["tenant", "completion_id", "state"]
    op.create_index("ix_feedback_tenant_completion_id_state", "feedback", columns, schema="ingest")
    upgrade_dead_letters()
    create_tables()


def upgrade_dead_letters() -> None:
    add("dead_letters", "letter_id", sa.String(), "")
    add("dead_letters", "whole", sa.Boolean(), sa.false())
    add("dead_letters", "state", sa.String(), "waiting")
    for name, kind in (
        ("event_id", sa.String()),
        ("handled_by", sa.String()),
        ("handled_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("dead_letters", sa.Column(name, kind), schema="ingest")
    op.execute(LETTER_ID)
    op.drop_index("ix_dead_letters_topic_reason", "dead_letters", schema="ingest")
    op.create_index("ix_dead_letters_tenant_reason", "dead_letters", ["tenant", "reason"], schema="ingest")
    op.create_index("ix_dead_letters_letter_id", "dead_letters", ["letter_id"], schema="ingest")
    op.create_index("ix_dead_letters_tenant_event_id", "dead_letters", ["tenant", "event_id"], schema="ingest")


def create_tables() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("retention_days", sa.Integer()),
        sa.Column("rate_per_s", sa.Float()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        schema="ingest",
    )
    op.create_table(
        "pruned_counts",
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        schema="ingest",
    )


def downgrade() -> None:
    """Fails where two tenants hold the same id, rather than lose one of them."""
    op.drop_table("pruned_counts", schema="ingest")
    op.drop_table("tenants", schema="ingest")
    for index in ("tenant_reason", "letter_id", "tenant_event_id"):
        op.drop_index(f"ix_dead_letters_{index}", "dead_letters", schema="ingest")
    for name in ("letter_id", "whole", "state", "event_id", "handled_by", "handled_at"):
        op.drop_column("dead_letters", name, schema="ingest")
    op.create_index("ix_dead_letters_topic_reason", "dead_letters", ["topic", "reason"], schema="ingest")
    op.drop_index("ix_feedback_tenant_completion_id_state", "feedback", schema="ingest")
    op.create_index("ix_feedback_completion_id_state", "feedback", ["completion_id", "state"], schema="ingest")
    op.drop_column("feedback", "payload_sha256", schema="ingest")
    for table, name in (("completions", "completion_id"), ("feedback", "event_id")):
        op.drop_constraint(f"{table}_pkey", table, schema="ingest")
        op.create_primary_key(f"{table}_pkey", table, [name], schema="ingest")
    for table in AGED:
        op.drop_index(f"ix_{table}_received_at", table, schema="ingest")
        if table != "feedback":
            op.drop_column(table, "received_at", schema="ingest")
        op.drop_column(table, "tenant", schema="ingest")
