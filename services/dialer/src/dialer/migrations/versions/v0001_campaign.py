"""Contacts, attempts, do-not-call, pauses, batches and the reports on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_IS_OPEN = sa.text("state IN ('claimed', 'placed')")


def upgrade() -> None:
    """Make the tables."""
    _make_contacts()
    _make_attempts()
    _make_other_calls()
    _make_lists()
    _make_reports()


def downgrade() -> None:
    """Drop the tables."""
    tables = ("reports", "batches", "pauses", "do_not_call", "other_calls", "attempts", "contacts")
    for table in tables:
        op.drop_table(f"dialer_{table}")


def _make_contacts() -> None:
    op.create_table(
        "dialer_contacts",
        sa.Column("id", _ROW_NUMBER, primary_key=True, autoincrement=True),
        sa.Column("dedupe_key", sa.String(200), nullable=False, unique=True),
        sa.Column("source", sa.String(12), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("consent_basis", sa.String(200), nullable=False),
        sa.Column("panel_number_id", sa.BigInteger, nullable=False),
        sa.Column("panel_batch_id", sa.String(100), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("drop_reason", sa.String(40), nullable=False),
        sa.Column("queue", sa.SmallInteger, nullable=False),
        sa.Column("not_before_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("attempts_made", sa.Integer, nullable=False),
        sa.Column("added_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "dialer_contacts_waiting", "dialer_contacts", ["state", "queue", "not_before_ms", "id"]
    )


def _make_attempts() -> None:
    op.create_table(
        "dialer_attempts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("contact_id", _ROW_NUMBER, sa.ForeignKey("dialer_contacts.id"), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("line", sa.String(15), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("local_date", sa.String(10), nullable=False),
        sa.Column("claimed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("originated_at_ms", sa.BigInteger),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("result", sa.SmallInteger, nullable=False),
        sa.Column("disposition", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("traceparent", sa.String(64), nullable=False),
    )
    for name, columns in (
        ("dialer_attempts_day", ["local_date", "line"]),
        ("dialer_attempts_claimed", ["claimed_at_ms", "id"]),
        ("dialer_attempts_originated", ["originated_at_ms", "line"]),
        ("dialer_attempts_person", ["number", "claimed_at_ms"]),
    ):
        op.create_index(name, "dialer_attempts", columns)
    op.create_index(
        "dialer_attempts_open",
        "dialer_attempts",
        ["number"],
        unique=True,
        sqlite_where=_IS_OPEN,
        postgresql_where=_IS_OPEN,
    )


def _make_other_calls() -> None:
    op.create_table(
        "dialer_other_calls",
        sa.Column("id", sa.String(149), primary_key=True),
        sa.Column("line", sa.String(40), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
    )


def _make_lists() -> None:
    op.create_table(
        "dialer_do_not_call",
        sa.Column("number", sa.String(20), primary_key=True),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dialer_pauses",
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dialer_batches",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("rejected", sa.Integer, nullable=False),
    )


def _make_reports() -> None:
    op.create_table(
        "dialer_reports",
        sa.Column("attempt_id", sa.String(36), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("refusal", sa.String(200), nullable=False),
    )
    op.create_index("dialer_reports_created", "dialer_reports", ["created_at_ms"])
