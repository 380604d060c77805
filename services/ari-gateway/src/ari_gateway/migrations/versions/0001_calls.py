"""Calls on record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of calls."""
    op.create_table(
        "gateway_calls",
        sa.Column("attempt_id", sa.String(64), primary_key=True),
        sa.Column("channel_id", sa.String(160), nullable=False),
        sa.Column("call", sa.LargeBinary, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False, index=True),
        sa.Column("reported", sa.Boolean, nullable=False, index=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )


def downgrade() -> None:
    """Drop the table of calls."""
    op.drop_table("gateway_calls")
