"""The dialer's tables. Moments are Unix milliseconds, so that both databases agree on them."""

from __future__ import annotations

import enum

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself only in a column of exactly this type.
_RowNumber = BigInteger().with_variant(Integer, "sqlite")


class Source(enum.StrEnum):
    """Where a contact came from; the words travel with the call."""

    PANEL = "panel"
    STATIC = "static"
    FILE = "file"


class ContactState(enum.StrEnum):
    """Where a contact stands.

    WAITING to be dialled → CLAIMED by an attempt → DONE, or WAITING again for a retry or after a
    refusal. DROPPED is never dialled: do-not-call, or the panel's lock on it ran out.
    """

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    DROPPED = "dropped"


class Queue(enum.IntEnum):
    """In which order waiting contacts are taken."""

    RETRY = 0
    FIRST = 1


class AttemptState(enum.StrEnum):
    """Where an attempt stands.

    CLAIMED (committed, the gateway is being asked) → PLACED (the gateway has told of the call's
    progress) → ENDED. A claim the gateway refused, so that nothing was dialled, is deleted: it was
    no attempt.
    """

    CLAIMED = "claimed"
    PLACED = "placed"
    ENDED = "ended"


class Stage(enum.IntEnum):
    """How far a call has come; it never goes back, and stays so at its end."""

    DIALING = 0
    ANSWERED = 1
    WITH_OPERATOR = 2


_IS_OPEN = text("state IN ('claimed', 'placed')")
# Written out, not bound: only so does SQLite see that the index of open attempts answers it.
IS_OPEN = text("dialer_attempts.state IN ('claimed', 'placed')")


# `dedupe_key` makes a number come once per campaign, and a panel's number once per batch.
# `not_before_ms` orders the queue: when the contact came, or when it may be tried again.
contacts = Table(
    "dialer_contacts",
    metadata,
    Column("id", _RowNumber, primary_key=True, autoincrement=True),
    Column("dedupe_key", String(200), nullable=False, unique=True),
    Column("source", String(12), nullable=False),
    Column("number", String(20), nullable=False),
    Column("consent_basis", String(200), nullable=False),
    Column("panel_number_id", BigInteger, nullable=False),
    Column("panel_batch_id", String(100), nullable=False),
    Column("state", String(12), nullable=False),
    Column("drop_reason", String(40), nullable=False),
    Column("queue", SmallInteger, nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("attempts_made", Integer, nullable=False),
    Column("added_at_ms", BigInteger, nullable=False),
    Index("dialer_contacts_waiting", "state", "queue", "not_before_ms", "id"),
)

# One row per try to reach one person; what the limits count. `local_date` is the day of the claim.
# `originated_at_ms` is when we knew that the call had left; NULL before.
# `stage` is what operators need to know of it.
# The partial unique index makes two live attempts for one person impossible.
attempts = Table(
    "dialer_attempts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("contact_id", _RowNumber, ForeignKey("dialer_contacts.id"), nullable=False),
    Column("number", String(20), nullable=False),
    Column("line", String(15), nullable=False),
    Column("state", String(12), nullable=False),
    Column("local_date", String(10), nullable=False),
    Column("claimed_at_ms", BigInteger, nullable=False),
    Column("originated_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("result", SmallInteger, nullable=False),
    Column("disposition", SmallInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("traceparent", String(64), nullable=False),
    Column("stage", SmallInteger, nullable=False),
    Index("dialer_attempts_day", "local_date", "line"),
    Index("dialer_attempts_claimed", "claimed_at_ms", "id"),
    Index("dialer_attempts_ended", "ended_at_ms"),
    Index("dialer_attempts_person", "number", "claimed_at_ms"),
    Index(
        "dialer_attempts_open",
        "number",
        unique=True,
        sqlite_where=_IS_OPEN,
        postgresql_where=_IS_OPEN,
    ),
)

# Live calls on our lines that are no attempts of this database: inbound ones above all.
# `number` is E.164, or empty when the caller's number is none.
other_calls = Table(
    "dialer_other_calls",
    metadata,
    Column("id", String(149), primary_key=True),
    Column("line", String(40), nullable=False),
    Column("number", String(20), nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("stage", SmallInteger, nullable=False),
)

do_not_call = Table(
    "dialer_do_not_call",
    metadata,
    Column("number", String(20), primary_key=True),
    Column("reason", String(500), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

pauses = Table(
    "dialer_pauses",
    metadata,
    Column("kind", String(12), primary_key=True),
    Column("reason", String(500), nullable=False),
    Column("by", String(200), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("trial_calls", Integer, nullable=False),
)

# What was taken in whole: the panel's batches ("panel:<id>") and files ("file:<SHA-256>").
batches = Table(
    "dialer_batches",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
)

# Moments to remember, by name.
marks = Table(
    "dialer_marks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)

# Results the gateway never had: kept until the reporter acknowledges. `body` is the
# ReportResultRequest; `refusal` says why the reporter will never take it (empty: still to be sent).
reports = Table(
    "dialer_reports",
    metadata,
    Column("attempt_id", String(36), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("refusal", String(200), nullable=False),
    Index("dialer_reports_created", "created_at_ms"),
)
