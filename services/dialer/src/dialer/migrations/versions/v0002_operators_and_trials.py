"""How far calls have come, trial calls under a pause, and moments to remember."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no earlier call is known to have come to an operator."""
    for table in ("dialer_attempts", "dialer_other_calls"):
        stage = sa.Column("stage", sa.SmallInteger, nullable=False, server_default="0")
        op.add_column(table, stage)
    op.drop_index("dialer_attempts_originated", "dialer_attempts")
    op.create_index("dialer_attempts_ended", "dialer_attempts", ["ended_at_ms"])
    trials = sa.Column("trial_calls", sa.Integer, nullable=False, server_default="0")
    op.add_column("dialer_pauses", trials)
    op.create_table(
        "dialer_marks",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("dialer_marks")
    op.drop_column("dialer_pauses", "trial_calls")
    op.drop_index("dialer_attempts_ended", "dialer_attempts")
    for table in ("dialer_other_calls", "dialer_attempts"):
        op.drop_column(table, "stage")
    op.create_index("dialer_attempts_originated", "dialer_attempts", ["originated_at_ms", "line"])
