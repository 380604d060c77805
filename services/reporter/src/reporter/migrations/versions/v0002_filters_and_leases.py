"""Results are found by more than their order, several reporters share the work, trial calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from salehi.reporter.v1 import reporter_pb2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_LAST_SECOND = 253_402_300_799  # of the year 9999
_PAGE = 1000

_results = sa.table(
    "reporter_results",
    sa.column("sequence", sa.BigInteger),
    sa.column("received_at_ms", sa.BigInteger),
    sa.column("report", sa.LargeBinary),
    sa.column("attempted_at_ms", sa.BigInteger),
    sa.column("direction", sa.Integer),
    sa.column("source", sa.String),
    sa.column("line", sa.String),
    sa.column("has_words", sa.Boolean),
)
_RESULT_COLUMNS = (
    ("attempted_at_ms", sa.BigInteger, "0"),
    ("direction", sa.Integer, "0"),
    ("source", sa.String(20), ""),
    ("line", sa.String(80), ""),
    ("has_words", sa.Boolean, sa.false()),
)
_BREAKER_COLUMNS = (
    ("waiting_since_ms", sa.BigInteger, "0"),
    ("trials_failed", sa.Integer, "0"),
    ("trial_granted_at_ms", sa.BigInteger, "0"),
    ("trial_passed", sa.Boolean, sa.false()),
    ("keeper", sa.String(100), ""),
    ("kept_until_ms", sa.BigInteger, "0"),
)


def upgrade() -> None:
    """Add the columns, and fill those of the results from the stored reports."""
    for name, kind, default in _RESULT_COLUMNS:
        column = sa.Column(name, kind, nullable=False, server_default=default)
        op.add_column("reporter_results", column)
    _fill_results(op.get_bind())
    op.create_index("ix_reporter_results_attempted_at_ms", "reporter_results", ["attempted_at_ms"])
    op.create_index("reporter_results_words", "reporter_results", ["has_words", "received_at_ms"])
    op.create_table(
        "reporter_erasures",
        sa.Column(
            "sequence",
            _ROW_NUMBER,
            sa.ForeignKey("reporter_results.sequence", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
    )
    leased = sa.Column("leased_until_ms", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("reporter_deliveries", leased)
    _index_deliveries("status", "next_try_at_ms", "sequence")
    for name, kind, default in _BREAKER_COLUMNS:
        column = sa.Column(name, kind, nullable=False, server_default=default)
        op.add_column("reporter_breaker", column)
    op.execute("UPDATE reporter_breaker SET waiting_since_ms = opened_at_ms")


def downgrade() -> None:
    """Drop them."""
    for name, _, _ in _BREAKER_COLUMNS:
        op.drop_column("reporter_breaker", name)
    _index_deliveries("status", "next_try_at_ms")
    op.drop_column("reporter_deliveries", "leased_until_ms")
    op.drop_table("reporter_erasures")
    op.drop_index("reporter_results_words", "reporter_results")
    op.drop_index("ix_reporter_results_attempted_at_ms", "reporter_results")
    for name, _, _ in _RESULT_COLUMNS:
        op.drop_column("reporter_results", name)


def _index_deliveries(*columns: str) -> None:
    op.drop_index("reporter_deliveries_due", "reporter_deliveries")
    op.create_index("reporter_deliveries_due", "reporter_deliveries", list(columns))


def _fill_results(connection: sa.Connection) -> None:
    last = 0
    columns = (_results.c.sequence, _results.c.received_at_ms, _results.c.report)
    while True:
        page = sa.select(*columns).where(_results.c.sequence > last).order_by(_results.c.sequence)
        rows = connection.execute(page.limit(_PAGE)).all()
        if not rows:
            return
        fill = sa.update(_results).where(_results.c.sequence == sa.bindparam("row"))
        connection.execute(fill, [_values(*row) for row in rows])
        last = rows[-1].sequence


def _values(sequence: int, received_at_ms: int, stored: bytes) -> dict[str, object]:
    report = reporter_pb2.ReportResultRequest.FromString(stored)
    stamp = report.attempted_at if report.HasField("attempted_at") else report.ended_at
    known = 0 < stamp.seconds <= _LAST_SECOND
    return {
        "row": sequence,
        "attempted_at_ms": stamp.ToMilliseconds() if known else received_at_ms,
        "direction": report.direction,
        "source": report.contact.source.replace("\0", "")[:20],
        "line": report.line.replace("\0", "")[:80],
        "has_words": any(turn.heard for turn in report.outcome.turns),
    }
