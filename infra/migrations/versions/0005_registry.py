"""Versions, aliases, gate reports, decisions, promotions, and an audit log that only grows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def text(name: str, *, index: bool = False) -> sa.Column:
    return sa.Column(name, sa.String(), nullable=False, index=index)


def moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def json(name: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), nullable=False)


def number(name: str, *, index: bool = False) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=False, index=index)


def upgrade() -> None:
    op.execute('CREATE SCHEMA IF NOT EXISTS "registry"')
    create_versions()
    create_evaluations()
    create_decisions()
    create_audit_log()


def create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("policy", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        *map(text, ("name", "adapter_digest", "adapter_uri", "run_id", "author")),
        *map(text, ("snapshot_uri", "snapshot_sha256", "recipe_sha256", "status")),
        moment("created_at"),
        sa.UniqueConstraint("policy", "adapter_digest"),
        schema="registry",
    )
    op.create_table(
        "aliases",
        sa.Column("policy", sa.String(), primary_key=True),
        sa.Column("alias", sa.String(), primary_key=True),
        number("number"),
        moment("moved_at"),
        schema="registry",
    )


def create_evaluations() -> None:
    op.create_table(
        "evaluation_requests",
        sa.Column("policy", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.Integer(), primary_key=True, autoincrement=False),
        *map(text, ("adapter_digest", "champion_digest", "anchor_digest")),
        *map(text, ("prompts_uri", "prompts_sha256", "snapshot_uri")),
        moment("asked_at"),
        schema="registry",
    )
    op.create_table(
        "gate_reports",
        sa.Column("report_digest", sa.String(), primary_key=True),
        number("sequence", index=True),
        text("policy", index=True),
        number("number"),
        text("adapter_digest", index=True),
        *map(text, ("champion_digest", "verdict", "evaluation_uri")),
        text("evaluation_sha256", index=True),
        json("report"),
        json("probe"),
        moment("judged_at"),
        schema="registry",
    )


def create_decisions() -> None:
    op.create_table(
        "promotion_requests",
        sa.Column("request_id", sa.String(), primary_key=True),
        text("policy", index=True),
        number("number"),
        *map(text, ("adapter_digest", "report_digest", "route", "champion_digest", "matrix_sha256", "prompts_sha256")),
        *map(text, ("requester", "author", "reason")),
        number("approvals_needed"),
        text("status"),
        moment("created_at"),
        schema="registry",
    )
    op.create_table(
        "decisions",
        sa.Column("request_id", sa.String(), primary_key=True),
        sa.Column("actor", sa.String(), primary_key=True),
        *map(text, ("word", "reason", "adapter_digest", "report_digest", "route", "champion_digest")),
        *map(text, ("matrix_sha256", "prompts_sha256")),
        moment("decided_at"),
        schema="registry",
    )
    op.create_table(
        "promotions",
        sa.Column("promotion_id", sa.String(), primary_key=True),
        number("sequence", index=True),
        text("policy", index=True),
        text("action"),
        number("number"),
        text("adapter_digest"),
        number("from_number"),
        text("actor"),
        json("proof"),
        sa.Column("seconds", sa.Float(), nullable=False),
        moment("at"),
        schema="registry",
    )


def create_audit_log() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        moment("at"),
        text("actor"),
        text("action"),
        text("subject", index=True),
        json("detail"),
        *map(text, ("previous_hash", "hash")),
        schema="registry",
    )
    op.execute(
        """
        CREATE FUNCTION registry.refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON registry.audit_entries
        FOR EACH ROW EXECUTE FUNCTION registry.refuse_change()
        """
    )


def downgrade() -> None:
    op.execute('DROP SCHEMA "registry" CASCADE')
