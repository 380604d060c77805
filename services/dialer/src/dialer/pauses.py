"""The switch that holds dialing back: several may hold it, each lets go by itself."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.tables import pauses

_IN_FORCE = select(pauses).order_by(pauses.c.since_ms)


class PauseKind(enum.StrEnum):
    """Who holds dialing back: a person, the failure breaker, or the panel."""

    MANUAL = "manual"
    BREAKER = "breaker"
    PANEL = "panel"


@dataclass(frozen=True)
class Pause:
    """One hold on the switch.

    Attributes:
        trial_calls: how many calls may still be dialled in spite of it, to see whether its cause is
            gone.
    """

    kind: PauseKind
    reason: str
    by: str
    since_ms: int
    trial_calls: int = 0


async def hold(connection: AsyncConnection, pause: Pause) -> None:
    """Hold dialing back; a hold of the same kind is replaced, its beginning kept, trials ended."""
    statement = delete(pauses).where(pauses.c.kind == pause.kind).returning(pauses.c.since_ms)
    since_ms = (await connection.execute(statement)).scalar_one_or_none()
    await connection.execute(
        pauses.insert().values(
            kind=pause.kind,
            reason=pause.reason,
            by=pause.by,
            since_ms=pause.since_ms if since_ms is None else since_ms,
            trial_calls=pause.trial_calls,
        )
    )


async def grant_trials(connection: AsyncConnection, kind: PauseKind, count: int) -> bool:
    """Let so many calls be dialled in spite of a hold; False when it is not in force."""
    statement = update(pauses).where(pauses.c.kind == kind).values(trial_calls=count)
    return (await connection.execute(statement)).rowcount == 1


async def use_trial(connection: AsyncConnection, kind: PauseKind) -> bool:
    """Count one call that is dialled in spite of a hold; False when none is left."""
    statement = update(pauses).where(pauses.c.kind == kind, pauses.c.trial_calls > 0)
    used = await connection.execute(statement.values(trial_calls=pauses.c.trial_calls - 1))
    return used.rowcount == 1


async def lift(connection: AsyncConnection, kinds: Collection[PauseKind]) -> int:
    """Let go for some kinds; give how many had held."""
    statement = delete(pauses).where(pauses.c.kind.in_(list(kinds)))
    return (await connection.execute(statement)).rowcount


async def in_force(connection: AsyncConnection) -> list[Pause]:
    """Give every hold, oldest first."""
    rows = (await connection.execute(_IN_FORCE)).all()
    return [
        Pause(PauseKind(row.kind), row.reason, row.by, row.since_ms, row.trial_calls)
        for row in rows
    ]
