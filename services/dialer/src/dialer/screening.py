"""Choosing the next person, and setting aside those who must not be called now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, exists, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.attempts import Ending, unplaced_report
from dialer.contacts import Contact, drop, postpone
from dialer.identities import panel_attempt_id
from dialer.locks import is_alone, try_person
from dialer.reports import queue_report
from dialer.tables import (
    IS_OPEN,
    ContactState,
    Queue,
    Source,
    attempts,
    contacts,
    do_not_call,
    other_calls,
)
from salehi.calls.v1.calls_pb2 import Result

DO_NOT_CALL = "do_not_call"
LOCK_RAN_OUT = "panel_lock_ran_out"
_ENGAGED_MS = 30_000
# The first nearly always serves; what must not be called leaves the queue, and the next are read.
_PAGE = 3

# Statements are built once: building them costs more than running them.
_CALLED_MS: ColumnElement[int | None] = (
    select(func.max(attempts.c.claimed_at_ms))
    .where(
        attempts.c.number == contacts.c.number,
        attempts.c.contact_id != contacts.c.id,
        attempts.c.claimed_at_ms > bindparam("gap_since_ms"),
    )
    .scalar_subquery()
)
# Contacts that are due, with what is known of each person.
_DUE: Select[Any] = select(
    contacts,
    exists().where(do_not_call.c.number == contacts.c.number).label("listed"),
    exists().where(and_(attempts.c.number == contacts.c.number, IS_OPEN)).label("in_attempt"),
    exists().where(other_calls.c.number == contacts.c.number).label("in_call"),
    _CALLED_MS.label("called_ms"),
).where(
    contacts.c.state == ContactState.WAITING,
    contacts.c.not_before_ms <= bindparam("now_ms"),
)


def _heads(*more: ColumnElement[bool]) -> Select[Any]:
    """Give the first of each queue; read apart, for a queue may hold many that are not due."""
    ids = [
        select(contacts.c.id)
        .where(
            contacts.c.state == ContactState.WAITING,
            contacts.c.queue == queue,
            contacts.c.not_before_ms <= bindparam("now_ms"),
            *more,
        )
        .order_by(contacts.c.not_before_ms, contacts.c.id)
        .limit(_PAGE)
        .subquery()
        for queue in Queue
    ]
    first = union_all(*(select(queued.c.id) for queued in ids))
    return _DUE.where(contacts.c.id.in_(first)).order_by(
        contacts.c.queue, contacts.c.not_before_ms, contacts.c.id
    )


_HEADS = _heads()
_NOT_PASSED = _heads(contacts.c.id.not_in(bindparam("passed", expanding=True)))
_HELD = _DUE.where(contacts.c.id == bindparam("contact_id")).with_for_update(
    of=contacts, skip_locked=True
)
_NEXT_DUE = select(func.min(contacts.c.not_before_ms)).where(
    contacts.c.state == ContactState.WAITING, contacts.c.queue == bindparam("queue")
)


async def next_contact(
    connection: AsyncConnection, *, now_ms: int, min_gap_ms: int
) -> Contact | None:
    """Give the next person who may be called now; None when nobody is due.

    Whoever comes first but must not be called is dropped (do-not-call, a lock that ran out) or
    postponed (on the phone with us, called too recently), so that no claim looks at them again
    before that can change. Whom another claim is just looking at is passed over.
    """
    known = {"now_ms": now_ms, "gap_since_ms": now_ms - min_gap_ms}
    passed: list[int] = []
    while rows := await _first_due(connection, known, passed):
        for row in rows:
            seen = row if is_alone(connection) else await _hold(connection, row, known)
            if seen is None:
                passed.append(row.id)
            elif await _may_be_called(connection, seen, now_ms, min_gap_ms):
                return Contact.of(seen)
    return None


async def next_due_ms(connection: AsyncConnection) -> int | None:
    """When the next waiting contact may be dialled; None when none waits."""
    dues: list[int] = []
    for queue in Queue:
        due_ms = await connection.scalar(_NEXT_DUE, {"queue": queue})
        if due_ms is not None:
            dues.append(due_ms)
    return min(dues, default=None)


async def _first_due(
    connection: AsyncConnection, known: dict[str, int], passed: list[int]
) -> Sequence[Row[Any]]:
    """Read the first of the queues in their order, without those that are passed over."""
    statement = _NOT_PASSED if passed else _HEADS
    more = {"passed": passed} if passed else {}
    rows: Sequence[Row[Any]] = (await connection.execute(statement, known | more)).all()
    return rows


async def _hold(
    connection: AsyncConnection, row: Row[Any], known: dict[str, int]
) -> Row[Any] | None:
    """Keep other claims away from a person and a contact, and read again what is known of them.

    None when another claim has one of them, or the contact is no longer due.
    """
    if not await try_person(connection, row.number):
        return None
    held = await connection.execute(_HELD, known | {"contact_id": row.id})
    seen: Row[Any] | None = held.one_or_none()
    return seen


async def _may_be_called(
    connection: AsyncConnection, row: Row[Any], now_ms: int, min_gap_ms: int
) -> bool:
    """Say whether a person may be called now; if not, drop or postpone the contact."""
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    contact = Contact.of(row)
    if fields["expires_at_ms"] is not None and fields["expires_at_ms"] <= now_ms:
        # Not reported: the panel hands the number out again by itself.
        await drop(connection, contact.id, LOCK_RAN_OUT)
        return False
    if fields["listed"]:
        await _refuse(connection, contact, now_ms)
        return False
    if fields["in_attempt"] or fields["in_call"]:
        await postpone(connection, contact.id, now_ms + _ENGAGED_MS)
        return False
    if min_gap_ms and fields["called_ms"] is not None:
        await postpone(connection, contact.id, fields["called_ms"] + min_gap_ms)
        return False
    return True


async def _refuse(connection: AsyncConnection, contact: Contact, now_ms: int) -> None:
    """Drop someone on the do-not-call list; the panel learns of it as of any other result."""
    await drop(connection, contact.id, DO_NOT_CALL)
    if contact.source is Source.PANEL:
        ending = Ending(Result.RESULT_NOT_INTERESTED, DO_NOT_CALL)
        attempt_id = panel_attempt_id(contact.panel_batch_id, contact.panel_number_id)
        report = unplaced_report(attempt_id, contact, ending, now_ms, now_ms)
        await queue_report(connection, report, now_ms)
