"""What the dialers have on record when all is over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.tables import IS_OPEN, AttemptState, ContactState, attempts, contacts, reports


@dataclass(frozen=True)
class Records:
    """The dialers' side of the story.

    Attributes:
        kept: ids of all attempts.
        open_: how many of them have not ended.
        reported: ids of attempts whose results the dialers report themselves.
        in_limbo: how many contacts are taken for an attempt.
    """

    kept: frozenset[str]
    open_: int
    reported: frozenset[str]
    in_limbo: int


async def any_open(connection: AsyncConnection) -> bool:
    """Whether an attempt has not ended."""
    statement = select(attempts.c.id).where(IS_OPEN).limit(1)
    return (await connection.execute(statement)).first() is not None


async def read_records(connection: AsyncConnection) -> Records:
    """Read everything."""
    rows = (await connection.execute(select(attempts.c.id, attempts.c.state))).all()
    reported = await connection.execute(select(reports.c.attempt_id))
    claimed = select(contacts.c.id).where(contacts.c.state == ContactState.CLAIMED)
    return Records(
        kept=frozenset(row.id for row in rows),
        open_=sum(row.state != AttemptState.ENDED for row in rows),
        reported=frozenset(reported.scalars()),
        in_limbo=len((await connection.execute(claimed)).all()),
    )
