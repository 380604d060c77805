"""People who wanted an operator and got none wait to be called back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table; no result on record asks for a callback yet."""
    op.create_table(
        "reporter_callbacks",
        sa.Column(
            "sequence",
            _ROW_NUMBER,
            sa.ForeignKey("reporter_results.sequence", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("person", sa.String(40), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
    for name, columns in (
        ("reporter_callbacks_person", ["person", "since_ms", "sequence"]),
        ("reporter_callbacks_order", ["since_ms", "sequence"]),
    ):
        op.create_index(name, "reporter_callbacks", columns)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("reporter_callbacks")
