"""The reporter's tables. Moments are Unix milliseconds, so that both databases agree on them."""

from __future__ import annotations

import enum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite numbers rows by itself only in a column of exactly this type.
_RowNumber = BigInteger().with_variant(Integer, "sqlite")


class DeliveryStatus(enum.StrEnum):
    """Where a delivery to the panel stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"


# What the panel need not hear of any more.
SETTLED = (DeliveryStatus.DELIVERED, DeliveryStatus.DISCARDED)


class AlertStatus(enum.StrEnum):
    """Where one SMS stands. SENDING is stored before the request leaves."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class AlertKind(enum.StrEnum):
    """What an SMS tells."""

    OPENED = "opened"
    CLOSED = "closed"


# One row per attempt. `report` is the message as reported, so that nothing of it is lost before it
# has to be; the other columns repeat what results are found by. `attempted_at_ms` is the end of the
# call, or its arrival here, where the report does not say when the attempt began.
results = Table(
    "reporter_results",
    metadata,
    Column("sequence", _RowNumber, primary_key=True, autoincrement=True),
    Column("attempt_id", String(149), nullable=False, unique=True),
    Column("result", String(200), nullable=False),
    Column("number", String(40), nullable=False, index=True),
    Column("received_at_ms", BigInteger, nullable=False, index=True),
    Column("report", LargeBinary, nullable=False),
    Column("attempted_at_ms", BigInteger, nullable=False, index=True),
    Column("direction", Integer, nullable=False),
    Column("source", String(20), nullable=False),
    Column("line", String(80), nullable=False),
    Column("has_words", Boolean, nullable=False),
    Index("reporter_results_words", "has_words", "received_at_ms"),
)

# Results of people who asked to be forgotten while the panel must still hear of them; the row goes
# with the personal data, once the delivery is settled.
erasures = Table(
    "reporter_erasures",
    metadata,
    Column(
        "sequence",
        _RowNumber,
        ForeignKey("reporter_results.sequence", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
)

# People who wanted an operator and got none, one row per attempt; who waits with several is one
# entry, the oldest. `person` is the number in its one form (E.164 where it is a valid number),
# `since_ms` the end of the call. The row goes when the callback is done.
callbacks = Table(
    "reporter_callbacks",
    metadata,
    Column(
        "sequence",
        _RowNumber,
        ForeignKey("reporter_results.sequence", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("person", String(40), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Index("reporter_callbacks_person", "person", "since_ms", "sequence"),
    Index("reporter_callbacks_order", "since_ms", "sequence"),
)

# The outbox: one row per result that must reach the panel, written together with the result.
# `contact` is the panel's number id: deliveries of one contact leave in the order of `sequence`.
# `opening` names the opening of the breaker that this result caused. Until `leased_until_ms` the
# row is in the hands of one reporter that is just sending it.
deliveries = Table(
    "reporter_deliveries",
    metadata,
    Column(
        "sequence",
        _RowNumber,
        ForeignKey("reporter_results.sequence", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("contact", BigInteger, nullable=False),
    Column("status", String(12), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at_ms", BigInteger, nullable=False),
    Column("reason", String(300), nullable=False),
    Column("settled_at_ms", BigInteger),
    Column("opening", Integer),
    Column("traceparent", String(64), nullable=False),
    Column("leased_until_ms", BigInteger, nullable=False),
    Index("reporter_deliveries_due", "status", "next_try_at_ms", "sequence"),
    Index("reporter_deliveries_order", "contact", "status", "sequence"),
)

# The failure breaker: exactly one row, id 1. Every recording locks it first. `keeper` is the
# reporter that looks after it, until `kept_until_ms`.
breaker = Table(
    "reporter_breaker",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("is_open", Boolean, nullable=False),
    Column("opening", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("pause_stored", Boolean, nullable=False),
    Column("waiting_since_ms", BigInteger, nullable=False),
    Column("trials_failed", Integer, nullable=False),
    Column("trial_granted_at_ms", BigInteger, nullable=False),
    Column("trial_passed", Boolean, nullable=False),
    Column("keeper", String(100), nullable=False),
    Column("kept_until_ms", BigInteger, nullable=False),
)

# One row per SMS; the constraint is what makes it one alert per opening and admin. While it is
# being sent, `next_try_at_ms` is when nobody can be sending it any more.
alerts = Table(
    "reporter_alerts",
    metadata,
    Column("id", _RowNumber, primary_key=True, autoincrement=True),
    Column("opening", Integer, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("recipient", String(40), nullable=False),
    Column("text", String(500), nullable=False),
    Column("status", String(12), nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("next_try_at_ms", BigInteger, nullable=False),
    UniqueConstraint("opening", "kind", "recipient", name="reporter_alerts_once"),
)
