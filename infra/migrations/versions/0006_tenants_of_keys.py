"""Keys belong to a tenant, and end when they are rotated out."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "api_keys", sa.Column("tenant", sa.String(), nullable=False, server_default="default"), schema="infra"
    )
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True)), schema="infra")


def downgrade() -> None:
    op.drop_column("api_keys", "expires_at", schema="infra")
    op.drop_column("api_keys", "tenant", schema="infra")
