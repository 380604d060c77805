"""The switch that holds dialing back: several may hold it, each lets go by itself."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.tables import pauses


class PauseKind(enum.StrEnum):
    """Who holds dialing back: a person, the failure breaker, or the panel."""

    MANUAL = "manual"
    BREAKER = "breaker"
    PANEL = "panel"


@dataclass(frozen=True)
class Pause:
    """One hold on the switch."""

    kind: PauseKind
    reason: str
    by: str
    since_ms: int


async def hold(connection: AsyncConnection, pause: Pause) -> None:
    """Hold dialing back; a hold of the same kind is replaced, its beginning kept."""
    statement = delete(pauses).where(pauses.c.kind == pause.kind).returning(pauses.c.since_ms)
    since_ms = (await connection.execute(statement)).scalar_one_or_none()
    await connection.execute(
        pauses.insert().values(
            kind=pause.kind,
            reason=pause.reason,
            by=pause.by,
            since_ms=pause.since_ms if since_ms is None else since_ms,
        )
    )


async def lift(connection: AsyncConnection, kinds: Collection[PauseKind]) -> int:
    """Let go for some kinds; give how many had held."""
    statement = delete(pauses).where(pauses.c.kind.in_(list(kinds)))
    return (await connection.execute(statement)).rowcount


async def in_force(connection: AsyncConnection) -> list[Pause]:
    """Give every hold, oldest first."""
    rows = (await connection.execute(select(pauses).order_by(pauses.c.since_ms))).all()
    return [Pause(PauseKind(row.kind), row.reason, row.by, row.since_ms) for row in rows]
