"""Moments to remember across restarts, by name."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.storage import insert_new
from dialer.tables import marks


async def remember(connection: AsyncConnection, name: str, at_ms: int) -> None:
    """Remember a moment, unless a later one is remembered."""
    row = {"name": name, "at_ms": at_ms}
    if not await insert_new(connection, marks, marks.c.name, [row]):
        later = update(marks).where(marks.c.name == name, marks.c.at_ms < at_ms)
        await connection.execute(later.values(at_ms=at_ms))


async def recall(connection: AsyncConnection, name: str) -> int | None:
    """Give the latest moment of a name; None when there was none."""
    at_ms: int | None = await connection.scalar(select(marks.c.at_ms).where(marks.c.name == name))
    return at_ms
