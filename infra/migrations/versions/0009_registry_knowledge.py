"""Questions, requests and decisions name the knowledge; those from before name none, so nothing rests on them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = ("evaluation_requests", "promotion_requests", "decisions")


def upgrade() -> None:
    for table in TABLES:
        column = sa.Column("knowledge_sha256", sa.String(), nullable=False, server_default="")
        op.add_column(table, column, schema="registry")
        op.alter_column(table, "knowledge_sha256", server_default=None, schema="registry")


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "knowledge_sha256", schema="registry")
