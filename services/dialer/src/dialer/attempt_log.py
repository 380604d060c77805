"""Attempts as they are shown: counted, and listed page by page."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import Contact
from dialer.tables import IS_OPEN, Stage, attempts, contacts, other_calls


async def count(connection: AsyncConnection) -> tuple[int, int]:
    """How many attempts are under way, and how many are finished."""
    total = select(func.count()).select_from(attempts)
    under_way = int((await connection.execute(total.where(IS_OPEN))).scalar_one())
    return under_way, int((await connection.execute(total)).scalar_one()) - under_way


async def oldest_calls_ms(connection: AsyncConnection) -> dict[Stage, int]:
    """Give when the oldest call on our lines began, by how far it has come; Unix milliseconds."""
    began_ms = func.min(attempts.c.claimed_at_ms)
    started_ms = func.min(other_calls.c.started_at_ms)
    oldest = union_all(
        select(attempts.c.stage, began_ms).where(IS_OPEN).group_by(attempts.c.stage),
        select(other_calls.c.stage, started_ms).group_by(other_calls.c.stage),
    )
    known: dict[Stage, int] = {}
    for stage, at_ms in await connection.execute(oldest):
        known[Stage(stage)] = min(at_ms, known.get(Stage(stage), at_ms))
    return known


@dataclass(frozen=True)
class PageStart:
    """The last attempt of the page before."""

    claimed_at_ms: int
    attempt_id: str


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt as kept."""

    attempt_id: str
    line: str
    contact: Contact
    claimed_at_ms: int
    ended_at_ms: int | None
    result: int
    reason: str


async def list_page(
    connection: AsyncConnection, size: int, after: PageStart | None, *, open_only: bool
) -> list[AttemptRecord]:
    """Give a page of attempts, newest first."""
    statement = (
        select(
            contacts,
            attempts.c.id.label("attempt_id"),
            attempts.c.line,
            attempts.c.claimed_at_ms,
            attempts.c.ended_at_ms,
            attempts.c.result,
            attempts.c.reason,
        )
        .join(contacts, contacts.c.id == attempts.c.contact_id)
        .order_by(attempts.c.claimed_at_ms.desc(), attempts.c.id.desc())
        .limit(size)
    )
    if after is not None:
        place = tuple_(attempts.c.claimed_at_ms, attempts.c.id)
        statement = statement.where(place < (after.claimed_at_ms, after.attempt_id))
    if open_only:
        statement = statement.where(IS_OPEN)
    rows = (await connection.execute(statement)).all()
    return [
        AttemptRecord(
            row.attempt_id,
            row.line,
            Contact.of(row),
            row.claimed_at_ms,
            row.ended_at_ms,
            row.result,
            row.reason,
        )
        for row in rows
    ]
