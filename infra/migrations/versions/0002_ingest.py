"""Completions, feedback, deliveries and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def position() -> tuple[sa.Column, ...]:
    return (
        sa.Column("topic", sa.String(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("payload_sha256", sa.String(), primary_key=True),
    )


def upgrade() -> None:
    op.execute('CREATE SCHEMA IF NOT EXISTS "ingest"')
    op.create_table(
        "completions",
        sa.Column("completion_id", sa.String(), primary_key=True),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("adapter_digest", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        schema="ingest",
    )
    op.create_table(
        "feedback",
        sa.Column("event_id", sa.String(), primary_key=True),
        sa.Column("completion_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("ix_feedback_completion_id_state", "completion_id", "state"),
        sa.Index("ix_feedback_state_received_at", "state", "received_at"),
        schema="ingest",
    )
    op.create_table(
        "deliveries",
        *position(),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("event_id", sa.String()),
        schema="ingest",
    )
    op.create_table(
        "dead_letters",
        *position(),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("field", sa.String()),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("ix_dead_letters_topic_reason", "topic", "reason"),
        schema="ingest",
    )


def downgrade() -> None:
    op.execute('DROP SCHEMA "ingest" CASCADE')
