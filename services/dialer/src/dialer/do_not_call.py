"""The do-not-call list: checked inside every claim."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.storage import insert_new
from dialer.tables import do_not_call
from servicekit.storage import Storage

SPOKEN = "said so on the phone"
_CHUNK = 500


@dataclass(frozen=True)
class Entry:
    """One number on the list."""

    number: str
    reason: str
    since_ms: int


async def add_numbers(
    connection: AsyncConnection, numbers: Sequence[str], reason: str, at_ms: int
) -> int:
    """Put numbers (E.164) on the list; give how many were not on it."""
    added = 0
    for start in range(0, len(numbers), _CHUNK):
        rows = [
            {"number": number, "reason": reason, "since_ms": at_ms}
            for number in numbers[start : start + _CHUNK]
        ]
        added += len(await insert_new(connection, do_not_call, do_not_call.c.number, rows))
    return added


async def remove_numbers(connection: AsyncConnection, numbers: Sequence[str]) -> int:
    """Take numbers (E.164) off the list; give how many were on it."""
    removed = 0
    for start in range(0, len(numbers), _CHUNK):
        chunk = list(numbers[start : start + _CHUNK])
        statement = delete(do_not_call).where(do_not_call.c.number.in_(chunk))
        removed += (await connection.execute(statement)).rowcount
    return removed


async def entries(storage: Storage) -> AsyncIterator[Entry]:
    """Give the whole list in the order of numbers, a page per transaction."""
    last = ""
    while True:
        async with storage.transaction() as connection:
            statement = (
                select(do_not_call)
                .where(do_not_call.c.number > last)
                .order_by(do_not_call.c.number)
                .limit(_CHUNK)
            )
            rows = (await connection.execute(statement)).all()
        for row in rows:
            yield Entry(row.number, row.reason, row.since_ms)
        if len(rows) < _CHUNK:
            return
        last = rows[-1].number
