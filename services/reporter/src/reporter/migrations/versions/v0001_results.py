"""Results, the outbox, the breaker and its alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables and the breaker's one row."""
    _make_results()
    _make_deliveries()
    _make_breaker()
    _make_alerts()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("alerts", "breaker", "deliveries", "results"):
        op.drop_table(f"reporter_{table}")


def _make_results() -> None:
    op.create_table(
        "reporter_results",
        sa.Column("sequence", _ROW_NUMBER, primary_key=True, autoincrement=True),
        sa.Column("attempt_id", sa.String(149), nullable=False, unique=True),
        sa.Column("result", sa.String(200), nullable=False),
        sa.Column("number", sa.String(40), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
        sa.Column("report", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_reporter_results_number", "reporter_results", ["number"])
    op.create_index("ix_reporter_results_received_at_ms", "reporter_results", ["received_at_ms"])


def _make_deliveries() -> None:
    op.create_table(
        "reporter_deliveries",
        sa.Column(
            "sequence",
            _ROW_NUMBER,
            sa.ForeignKey("reporter_results.sequence", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("contact", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_try_at_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger),
        sa.Column("opening", sa.Integer),
        sa.Column("traceparent", sa.String(64), nullable=False),
    )
    op.create_index("reporter_deliveries_due", "reporter_deliveries", ["status", "next_try_at_ms"])
    op.create_index(
        "reporter_deliveries_order", "reporter_deliveries", ["contact", "status", "sequence"]
    )


def _make_breaker() -> None:
    table = op.create_table(
        "reporter_breaker",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("opening", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("pause_stored", sa.Boolean, nullable=False),
    )
    closed = {
        "id": 1,
        "is_open": False,
        "opening": 0,
        "failures": 0,
        "reason": "",
        "opened_at_ms": 0,
        "pause_stored": False,
    }
    op.bulk_insert(table, [closed])


def _make_alerts() -> None:
    op.create_table(
        "reporter_alerts",
        sa.Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        sa.Column("opening", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("recipient", sa.String(40), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_try_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("opening", "kind", "recipient", name="reporter_alerts_once"),
    )
    op.create_index("ix_reporter_alerts_status", "reporter_alerts", ["status"])
