"""What a successor needs to go on with a live call, and who leads the application."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table; calls of older versions have nothing saved."""
    # To SQLite a quoted default would be text.
    nothing = sa.text("X''") if op.get_bind().dialect.name == "sqlite" else ""
    op.add_column(
        "gateway_calls",
        sa.Column("saved", sa.LargeBinary, nullable=False, server_default=nothing),
    )
    op.create_table(
        "gateway_leases",
        sa.Column("application", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("gateway_leases")
    op.drop_column("gateway_calls", "saved")
