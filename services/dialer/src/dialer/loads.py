"""What every line carries, counted from the attempts, so that it survives any restart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.limits import (
    LEFT_BY_MS,
    MINUTE_MS,
    ORIGINATE_MARGIN_MS,
    Line,
    LineLoad,
    minute_frees_ms,
)
from dialer.tables import IS_OPEN, attempts, other_calls

_RECENT_MS = MINUTE_MS + LEFT_BY_MS

# Statements are built once: building them costs more than running them; and asked as one, for each
# costs more on its way than in the database.
_LEFT_BY_MS = case(
    (
        attempts.c.originated_at_ms + ORIGINATE_MARGIN_MS < attempts.c.claimed_at_ms + LEFT_BY_MS,
        attempts.c.originated_at_ms + ORIGINATE_MARGIN_MS,
    ),
    else_=attempts.c.claimed_at_ms + LEFT_BY_MS,
)
_IS_RECENT = attempts.c.claimed_at_ms > bindparam("since_ms")


def _count(what: str, line: Any, left_by_ms: Any) -> Select[Any]:
    """Count rows per line, under a name, and say when the last call has left."""
    return select(
        literal_column(f"'{what}'").label("what"),
        line.label("line"),
        func.count().label("calls"),
        cast(left_by_ms, BigInteger).label("left_by_ms"),
    ).group_by(line)


_LOADS = union_all(
    _count("active", attempts.c.line, null()).where(IS_OPEN),
    _count("active", other_calls.c.line, null()),
    _count("today", attempts.c.line, null()).where(attempts.c.local_date == bindparam("today")),
    _count("minute", attempts.c.line, func.max(_LEFT_BY_MS)).where(_IS_RECENT),
)
_RECENT = (
    select(attempts.c.line, attempts.c.claimed_at_ms)
    .where(_IS_RECENT, attempts.c.line.in_(bindparam("lines", expanding=True)))
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
    since_ms = now_ms - _RECENT_MS
    counts: dict[str, defaultdict[str, int]] = {
        what: defaultdict(int) for what in ("active", "today", "minute")
    }
    left_by_ms: dict[str, int] = {}
    known = {"today": today, "since_ms": since_ms}
    for what, line, calls, left_ms in await connection.execute(_LOADS, known):
        counts[what][line] += calls
        if left_ms is not None:
            left_by_ms[line] = left_ms
    active, minute = counts["active"], counts["minute"]
    full = {
        line.number: line.limits.max_per_minute
        for line in lines
        if minute[line.number] >= line.limits.max_per_minute
    }
    recent = await _claimed_ms(connection, full, since_ms) if full else {}
    return {
        line: LineLoad(
            active[line],
            minute[line],
            minute_frees_ms(recent[line], full[line]) if line in full else None,
            left_by_ms.get(line),
            counts["today"][line],
        )
        for line in {*(line.number for line in lines), *active}
    }


async def _claimed_ms(
    connection: AsyncConnection, lines: Collection[str], since_ms: int
) -> dict[str, list[int]]:
    """Give when calls were claimed on some lines since a moment, oldest first."""
    claims = await connection.execute(_RECENT, {"since_ms": since_ms, "lines": list(lines)})
    claimed_ms: defaultdict[str, list[int]] = defaultdict(list)
    for line, at_ms in claims:
        claimed_ms[line].append(at_ms)
    return claimed_ms
