"""What every line carries, counted from the attempts, so that it survives any restart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.limits import MINUTE_MS, ORIGINATE_MARGIN_MS, Line, LineLoad
from dialer.tables import IS_OPEN, attempts, other_calls


async def read_loads(
    connection: AsyncConnection, lines: Sequence[Line], now_ms: int, today: str
) -> dict[str, LineLoad]:
    """Give the load of every line that is configured or carries a call.

    Args:
        connection: the transaction to read in.
        lines: the configured lines.
        now_ms: the present.
        today: the local date, as attempts keep it.
    """
    active, asking = await _count_active(connection)
    originated = await _recent_originates(connection, now_ms)
    statement = (
        select(attempts.c.line, func.count())
        .where(attempts.c.local_date == today)
        .group_by(attempts.c.line)
    )
    per_day: dict[str, int] = dict((await connection.execute(statement)).all())
    return {
        line: LineLoad(
            active.get(line, 0),
            asking.get(line, 0),
            tuple(originated.get(line, ())),
            per_day.get(line, 0),
        )
        for line in {*(line.number for line in lines), *active}
    }


async def _count_active(connection: AsyncConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Count calls under way per line, and those of them whose PlaceCall is not yet answered."""
    active: dict[str, int] = {}
    asking: dict[str, int] = {}
    statement = (
        select(attempts.c.line, func.count(), func.count(attempts.c.originated_at_ms))
        .where(IS_OPEN)
        .group_by(attempts.c.line)
    )
    for line, count, originated in await connection.execute(statement):
        active[line] = count
        asking[line] = count - originated
    inbound = select(other_calls.c.line, func.count()).group_by(other_calls.c.line)
    for line, count in await connection.execute(inbound):
        active[line] = active.get(line, 0) + count
    return active, asking


async def _recent_originates(connection: AsyncConnection, now_ms: int) -> dict[str, list[int]]:
    since_ms = now_ms - MINUTE_MS - ORIGINATE_MARGIN_MS
    statement = (
        select(attempts.c.line, attempts.c.originated_at_ms)
        .where(attempts.c.originated_at_ms > since_ms)
        .order_by(attempts.c.originated_at_ms)
    )
    originated: defaultdict[str, list[int]] = defaultdict(list)
    for line, at_ms in await connection.execute(statement):
        originated[line].append(at_ms or 0)
    return originated
