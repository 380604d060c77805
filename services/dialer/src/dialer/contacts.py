"""People to call: taken once, put back, dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.errors import InvalidNumber
from dialer.numbers import national
from dialer.storage import insert_new
from dialer.tables import ContactState, Queue, Source, contacts
from salehi.calls.v1 import calls_pb2

# Statements every call needs are built once: building them costs more than running them.
_BY_ID = update(contacts).where(contacts.c.id == bindparam("contact_id"))
_TAKE = _BY_ID.values(state=ContactState.CLAIMED, attempts_made=contacts.c.attempts_made + 1)
_CLAIMED_BY_ID = _BY_ID.where(contacts.c.state == ContactState.CLAIMED)
_FINISH = _CLAIMED_BY_ID.values(state=ContactState.DONE)
_RETRY = _CLAIMED_BY_ID.values(
    state=ContactState.WAITING, queue=Queue.RETRY, not_before_ms=bindparam("retry_at_ms")
)


@dataclass(frozen=True)
class NewContact:
    """A person to call, as a source gives it.

    Attributes:
        dedupe_key: says what counts as the same contact; the second one is not taken.
        number: E.164.
        consent_basis: why this person may be called, in the source's words.
        expires_at_ms: after this moment it must not be dialled any more; None: never expires.
    """

    source: Source
    dedupe_key: str
    number: str
    consent_basis: str
    panel_number_id: int = 0
    panel_batch_id: str = ""
    expires_at_ms: int | None = None


@dataclass(frozen=True)
class Contact:
    """A person on record.

    Attributes:
        attempts_made: attempts so far, one under way included.
    """

    id: int
    source: Source
    number: str
    panel_number_id: int
    panel_batch_id: str
    attempts_made: int

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Read a row that holds at least the contact's columns."""
        fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
        return cls(
            id=fields["id"],
            source=Source(fields["source"]),
            number=fields["number"],
            panel_number_id=fields["panel_number_id"],
            panel_batch_id=fields["panel_batch_id"],
            attempts_made=fields["attempts_made"],
        )

    def message(self) -> calls_pb2.Contact:
        """Give it as it travels with the call; a number that is none travels as it was written."""
        try:
            national_number = national(self.number)
        except InvalidNumber:
            national_number = ""
        return calls_pb2.Contact(
            source=self.source,
            number=self.number,
            panel_number_id=self.panel_number_id,
            panel_batch_id=self.panel_batch_id,
            national_number=national_number,
        )


async def add_contacts(
    connection: AsyncConnection, new: Sequence[NewContact], at_ms: int
) -> set[str]:
    """Add those that are not there yet; give the dedupe keys of the added ones."""
    rows = [
        {
            "dedupe_key": contact.dedupe_key,
            "source": contact.source,
            "number": contact.number,
            "consent_basis": contact.consent_basis,
            "panel_number_id": contact.panel_number_id,
            "panel_batch_id": contact.panel_batch_id,
            "state": ContactState.WAITING,
            "drop_reason": "",
            "queue": Queue.FIRST,
            "not_before_ms": at_ms,
            "expires_at_ms": contact.expires_at_ms,
            "attempts_made": 0,
            "added_at_ms": at_ms,
        }
        for contact in new
    ]
    return await insert_new(connection, contacts, contacts.c.dedupe_key, rows)


async def drop(connection: AsyncConnection, contact_id: int, reason: str) -> None:
    """Never dial a waiting contact."""
    await connection.execute(
        update(contacts)
        .where(contacts.c.id == contact_id)
        .values(state=ContactState.DROPPED, drop_reason=reason)
    )


async def postpone(connection: AsyncConnection, contact_id: int, until_ms: int) -> None:
    """Leave a waiting contact alone until a moment."""
    await connection.execute(
        update(contacts).where(contacts.c.id == contact_id).values(not_before_ms=until_ms)
    )


async def take(connection: AsyncConnection, contact_id: int) -> None:
    """Take a waiting contact for an attempt."""
    await connection.execute(_TAKE, {"contact_id": contact_id})


async def put_back(connection: AsyncConnection, contact_id: int) -> None:
    """Undo `take`: nothing was dialled, so it was no attempt."""
    await connection.execute(
        update(contacts)
        .where(contacts.c.id == contact_id, contacts.c.state == ContactState.CLAIMED)
        .values(state=ContactState.WAITING, attempts_made=contacts.c.attempts_made - 1)
    )


async def finish(connection: AsyncConnection, contact_id: int, retry_at_ms: int | None) -> None:
    """Settle a contact whose attempt ended: done, or waiting for its retry."""
    if retry_at_ms is None:
        await connection.execute(_FINISH, {"contact_id": contact_id})
    else:
        known = {"contact_id": contact_id, "retry_at_ms": retry_at_ms}
        await connection.execute(_RETRY, known)


async def count_waiting(connection: AsyncConnection) -> int:
    """How many contacts wait to be dialled, now or later."""
    statement = (
        select(func.count()).select_from(contacts).where(contacts.c.state == ContactState.WAITING)
    )
    return int((await connection.execute(statement)).scalar_one())
