"""When each call ended, so that calls can be asked for by it."""

from __future__ import annotations

from datetime import UTC

import sqlalchemy as sa
from alembic import op

from salehi.calls.v1 import calls_pb2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the moment, read from the calls where they have one."""
    op.add_column("gateway_calls", sa.Column("ended_at", sa.DateTime(timezone=True)))
    op.create_index("ix_gateway_calls_ended_at", "gateway_calls", ["ended_at"])
    calls = sa.table(
        "gateway_calls",
        sa.column("attempt_id", sa.String),
        sa.column("call", sa.LargeBinary),
        sa.column("ended", sa.Boolean),
        sa.column("ended_at", sa.DateTime(timezone=True)),
    )
    connection = op.get_bind()
    ended = sa.select(calls.c.attempt_id, calls.c.call).where(calls.c.ended.is_(True))
    for row in connection.execute(ended).all():
        ended_at = calls_pb2.Call.FromString(row.call).ended_at.ToDatetime(UTC)
        this = calls.c.attempt_id == row.attempt_id
        connection.execute(calls.update().where(this).values(ended_at=ended_at))


def downgrade() -> None:
    """Drop the moment."""
    op.drop_index("ix_gateway_calls_ended_at", "gateway_calls")
    op.drop_column("gateway_calls", "ended_at")
