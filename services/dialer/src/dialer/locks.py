"""What claims and others lock on PostgreSQL, where transactions run side by side.

All are advisory and end with the transaction. On SQLite each transaction is alone, so that there is
nothing to lock. They are taken in the order in which they stand here, so that nobody waits in a
circle:

- claims: shared by all claims; taken alone by whatever must hold for every claim from its commit
  on, a pause or an entry on the do-not-call list.
- total: taken by claims that must keep to what counts over all lines.
- a line: one claim at a time counts it and adds to it.
- a person: one claim at a time looks at a number.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class _Space(enum.IntEnum):
    """First half of the lock's key: any numbers no other user of the database takes."""

    CLAIMS = 0x5A1E41
    TOTAL = 0x5A1E42
    LINE = 0x5A1E43
    PERSON = 0x5A1E44


def is_alone(connection: AsyncConnection) -> bool:
    """Whether no other transaction can run beside this one."""
    return connection.dialect.name != "postgresql"


async def share_claims(connection: AsyncConnection) -> None:
    """Begin a claim: wait for whoever has locked claims."""
    await _lock(connection, "pg_advisory_xact_lock_shared", _Space.CLAIMS)


async def lock_claims(connection: AsyncConnection) -> None:
    """Let no claim run beside this transaction, in this process or another."""
    await _lock(connection, "pg_advisory_xact_lock", _Space.CLAIMS)


async def lock_total(connection: AsyncConnection) -> None:
    """Let nobody else add to what counts over all lines."""
    await _lock(connection, "pg_advisory_xact_lock", _Space.TOTAL)


async def lock_a_line(
    connection: AsyncConnection, lines: Sequence[str], *, wait: bool
) -> str | None:
    """Lock the first of some lines that nobody else has; where all are taken wait for the first.

    Who has a line already must not wait for another; None when that would be needed.
    """
    for line in lines:
        if await _lock(connection, "pg_try_advisory_xact_lock", _Space.LINE, line):
            return line
    if not wait:
        return None
    await _lock(connection, "pg_advisory_xact_lock", _Space.LINE, lines[0])
    return lines[0]


async def try_person(connection: AsyncConnection, number: str) -> bool:
    """Lock a person; False when another claim is just looking at them."""
    return await _lock(connection, "pg_try_advisory_xact_lock", _Space.PERSON, number)


async def _lock(connection: AsyncConnection, function: str, space: _Space, key: str = "") -> bool:
    if is_alone(connection):
        return True
    # Two keys with one hash only wait for each other where they need not.
    statement = text(f"SELECT {function}(:space, hashtext(:key))")
    locked = await connection.scalar(statement, {"space": int(space), "key": key})
    return locked is not False  # only the try_ functions give an answer
