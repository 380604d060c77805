"""Deliveries that were given up: to be looked at, tried again, or dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.archive import place
from reporter.erasing import erase_noted
from reporter.storage import moment, unix_ms
from reporter.tables import DeliveryStatus, deliveries, results
from servicekit.clock import Clock
from servicekit.storage import Storage

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One delivery that was given up; `since` is in UTC, `tries` counts every one made."""

    attempt_id: str
    reason: str
    since: datetime
    tries: int


class DeadLetters:
    """The deliveries the panel refused. Every method may raise StoreUnavailable."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def page(self, size: int, token: str = "") -> tuple[list[DeadLetter], str]:
        """Give them newest first, and the token of the next page (empty on the last).

        Raises:
            BadPageToken: no page ever carried this token.
        """
        query = (
            select(deliveries, results.c.attempt_id)
            .join_from(deliveries, results)
            .where(deliveries.c.status == DeliveryStatus.DEAD)
            .order_by(deliveries.c.settled_at_ms.desc(), deliveries.c.sequence.desc())
            .limit(size + 1)
        )
        if token:
            settled_at_ms, sequence = place(token)
            earlier = deliveries.c.settled_at_ms < settled_at_ms
            same = deliveries.c.settled_at_ms == settled_at_ms
            query = query.where(or_(earlier, and_(same, deliveries.c.sequence < sequence)))
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(query)).all()
        letters = [
            DeadLetter(row.attempt_id, row.reason, moment(row.settled_at_ms), row.tries)
            for row in rows[:size]
        ]
        last = rows[size - 1] if len(rows) > size else None
        return letters, f"{last.settled_at_ms}-{last.sequence}" if last else ""

    async def retry(self, attempt_ids: Sequence[str]) -> int:
        """Put them back into the queue, all when none is named; give how many."""
        return len(await self._move(attempt_ids, DeliveryStatus.PENDING))

    async def discard(self, attempt_ids: Sequence[str]) -> int:
        """Drop them, all when none is named; give how many. Their results stay."""
        return len(await self._move(attempt_ids, DeliveryStatus.DISCARDED))

    async def _move(self, attempt_ids: Sequence[str], status: DeliveryStatus) -> list[int]:
        """Give dead letters another status, all in one transaction; give their rows."""
        moved: list[int] = []
        async with self._storage.transaction() as connection:
            for named in _chunks(attempt_ids):
                moved += await _move_named(connection, named, status, unix_ms(self._clock))
            if status is DeliveryStatus.DISCARDED:
                for start in range(0, len(moved), _CHUNK):
                    await erase_noted(connection, moved[start : start + _CHUNK])
        return moved


async def _move_named(
    connection: AsyncConnection, named: Sequence[str], status: DeliveryStatus, now_ms: int
) -> Sequence[int]:
    dead = select(deliveries.c.sequence).where(deliveries.c.status == DeliveryStatus.DEAD)
    if named:
        dead = dead.join_from(deliveries, results).where(results.c.attempt_id.in_(named))
    # Locked in one order, so that two who ask for the same wait instead of blocking each other.
    dead = dead.order_by(deliveries.c.sequence).with_for_update(of=deliveries)
    moved = (
        update(deliveries)
        .where(deliveries.c.sequence.in_(dead), deliveries.c.status == DeliveryStatus.DEAD)
        .values(
            status=status,
            next_try_at_ms=now_ms,
            settled_at_ms=None if status is DeliveryStatus.PENDING else now_ms,
        )
        .returning(deliveries.c.sequence)
    )
    return (await connection.scalars(moved)).all()


def _chunks(attempt_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Give the ids in portions a statement can hold; one empty portion stands for all."""
    if not attempt_ids:
        yield ()
    for start in range(0, len(attempt_ids), _CHUNK):
        yield attempt_ids[start : start + _CHUNK]
