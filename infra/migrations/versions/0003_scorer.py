"""Samples, feedback, risk and snapshots."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def cell() -> tuple[sa.Column, ...]:
    return tuple(sa.Column(name, sa.String(), primary_key=True) for name in ("policy", "dimension", "slice"))


def moment(name: str, *, primary_key: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, primary_key=primary_key)


def upgrade() -> None:
    op.execute('CREATE SCHEMA IF NOT EXISTS "scorer"')
    create_samples()
    create_risk()
    create_snapshots()
    create_dead_letters()


def create_samples() -> None:
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


def create_risk() -> None:
    op.create_table(
        "risk_counts",
        sa.Column("policy", sa.String(), primary_key=True),
        moment("hour", primary_key=True),
        *cell()[1:],
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
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("risk", "upper_bound")),
        schema="scorer",
    )
    op.create_table(
        "risk_points",
        *cell(),
        moment("at", primary_key=True),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("risk", "upper_bound", "incidents", "exposures")),
        sa.Index("ix_risk_points_at", "at"),
        schema="scorer",
    )


def create_snapshots() -> None:
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
    op.create_table(
        "progress",
        sa.Column("policy", sa.String(), primary_key=True),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("labelled", sa.BigInteger(), nullable=False),
        moment("first_served_at"),
        sa.Column("cut_labelled", sa.BigInteger(), nullable=False),
        sa.Column("cut_at", sa.DateTime(timezone=True)),
        schema="scorer",
    )


def create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("topic", sa.String(), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("payload_sha256", sa.String(), primary_key=True),
        sa.Column("reason", sa.String(), nullable=False),
        moment("set_aside_at"),
        schema="scorer",
    )


def downgrade() -> None:
    op.execute('DROP SCHEMA "scorer" CASCADE')
