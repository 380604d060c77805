"""What every line carries, counted from the attempts, so that it survives any restart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.limits import LEFT_BY_MS, MINUTE_MS, ORIGINATE_MARGIN_MS, Line, LineLoad
from dialer.tables import IS_OPEN, attempts, other_calls

_RECENT_MS = MINUTE_MS + LEFT_BY_MS

# Built once: building statements costs more than running them.
_ACTIVE = select(attempts.c.line, func.count()).where(IS_OPEN).group_by(attempts.c.line)
_OTHERS = select(other_calls.c.line, func.count()).group_by(other_calls.c.line)
_TODAY = (
    select(attempts.c.line, func.count())
    .where(attempts.c.local_date == bindparam("today"))
    .group_by(attempts.c.line)
)
_RECENT = (
    select(attempts.c.line, attempts.c.claimed_at_ms, attempts.c.originated_at_ms)
    .where(attempts.c.claimed_at_ms > bindparam("since_ms"))
    .order_by(attempts.c.claimed_at_ms)
)


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
    active = await _count_active(connection)
    recent = await _recent_claims(connection, now_ms)
    per_day: dict[str, int] = dict((await connection.execute(_TODAY, {"today": today})).all())
    return {
        line: LineLoad(
            active.get(line, 0),
            tuple(claimed_ms for claimed_ms, _ in recent[line]),
            max((left_by_ms for _, left_by_ms in recent[line]), default=None),
            per_day.get(line, 0),
        )
        for line in {*(line.number for line in lines), *active}
    }


async def _count_active(connection: AsyncConnection) -> dict[str, int]:
    """Count calls under way per line."""
    active: dict[str, int] = dict((await connection.execute(_ACTIVE)).all())
    for line, count in await connection.execute(_OTHERS):
        active[line] = active.get(line, 0) + count
    return active


async def _recent_claims(
    connection: AsyncConnection, now_ms: int
) -> defaultdict[str, list[tuple[int, int]]]:
    """Give per line when calls were claimed that may lie in the last minute, and had left."""
    claims = await connection.execute(_RECENT, {"since_ms": now_ms - _RECENT_MS})
    recent: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for line, claimed_ms, originated_ms in claims:
        left_by_ms = claimed_ms + LEFT_BY_MS
        if originated_ms is not None:
            left_by_ms = min(left_by_ms, originated_ms + ORIGINATE_MARGIN_MS)
        recent[line].append((claimed_ms, left_by_ms))
    return recent
