"""Samples, feedback, risk and snapshots."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def cell() -> tuple[sa.Column, ...]:
    return (sa.Column("dimension", sa.String(), primary_key=True), sa.Column("slice", sa.String(), primary_key=True))


def moment(name: str, *, primary_key: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, primary_key=primary_key)


def upgrade() -> None:
    op.execute('CREATE SCHEMA IF NOT EXISTS "scorer"')
    op.create_table(
        "samples",
        sa.Column("completion_id", sa.String(), primary_key=True),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("user_id", sa.String()),
        sa.Column("slice", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("scores", postgresql.JSONB(), nullable=False),
        sa.Column("satisfaction", sa.Float()),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.Column("label_version", sa.Integer(), nullable=False),
        moment("served_at"),
        sa.Index("ix_samples_served_at", "served_at", "completion_id"),
        schema="scorer",
    )
    op.create_table(
        "feedback",
        sa.Column("event_id", sa.String(), primary_key=True),
        sa.Column("completion_id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Index("ix_scorer_feedback_completion_id", "completion_id"),
        schema="scorer",
    )
    op.create_table(
        "risk_counts",
        *cell(),
        moment("minute", primary_key=True),
        sa.Column("exposures", sa.BigInteger(), nullable=False),
        sa.Column("incidents", sa.BigInteger(), nullable=False),
        schema="scorer",
    )
    op.create_table(
        "risk_states",
        *cell(),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        sa.Column("calm_windows", sa.Integer(), nullable=False),
        moment("window_at"),
        schema="scorer",
    )
    op.create_table(
        "risk_points",
        *cell(),
        moment("at", primary_key=True),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("risk", "upper_bound", "incidents", "exposures")),
        schema="scorer",
    )
    op.create_table(
        "snapshots",
        sa.Column("identity", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("uri", "sha256", "policy")),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("labelled", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        moment("cut_at"),
        schema="scorer",
    )


def downgrade() -> None:
    op.execute('DROP SCHEMA "scorer" CASCADE')
