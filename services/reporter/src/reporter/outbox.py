"""The outbox: results that the panel must still hear of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Update, and_, func, select, update

from reporter.storage import Storage, moment, unix_ms
from reporter.tables import DeliveryStatus, breaker, deliveries, results
from salehi.reporter.v1 import reporter_pb2
from servicekit.clock import Clock

_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result to report to the panel.

    Attributes:
        sequence: its row.
        report: what to report. Personal data.
        tries: how often it was tried before.
        switches_off: this result opened the breaker, which is still open: the panel stops too.
        traceparent: the trace of the report; empty when tracing is off.
    """

    sequence: int
    report: reporter_pb2.ReportResultRequest
    tries: int
    switches_off: bool
    traceparent: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One delivery that was given up; `since` is in UTC, `tries` counts every one made."""

    attempt_id: str
    reason: str
    since: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits: rows pending, rows dead, and the age of the oldest pending one, seconds."""

    pending: int
    dead: int
    oldest_age_s: float


class Outbox:
    """The deliveries. Every method may raise StoreUnavailable.

    Of one contact's deliveries only the oldest pending one is ever given out, which is what keeps
    them in order.
    """

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def waiting(self, limit: int, *, due_only: bool) -> list[Delivery]:
        """Give what can be sent, first due first; with `due_only` false also what waits longer."""
        query = (
            select(
                deliveries.c.sequence,
                deliveries.c.tries,
                deliveries.c.traceparent,
                results.c.report,
                and_(breaker.c.is_open, deliveries.c.opening == breaker.c.opening).label("off"),
            )
            .join_from(deliveries, results)
            .join(breaker, breaker.c.id == 1)
            .where(_first_of_contact())
            .order_by(deliveries.c.next_try_at_ms, deliveries.c.sequence)
            .limit(limit)
        )
        if due_only:
            query = query.where(deliveries.c.next_try_at_ms <= unix_ms(self._clock))
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Delivery(
                sequence=row.sequence,
                report=reporter_pb2.ReportResultRequest.FromString(row.report),
                tries=row.tries,
                switches_off=bool(row.off),
                traceparent=row.traceparent,
            )
            for row in rows
        ]

    async def seconds_to_next(self) -> float | None:
        """Give how long until something can be sent, seconds; None when nothing waits."""
        query = select(func.min(deliveries.c.next_try_at_ms)).where(_first_of_contact())
        async with self._storage.transaction() as connection:
            due_ms = await connection.scalar(query)
        return None if due_ms is None else max(0.0, (due_ms - unix_ms(self._clock)) / 1000)

    async def delivered(self, delivery: Delivery) -> None:
        """The panel accepted it."""
        await self._settle(delivery, DeliveryStatus.DELIVERED, "")

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """The panel will never accept it: keep it as a dead letter."""
        await self._settle(delivery, DeliveryStatus.DEAD, reason)

    async def postpone(self, delivery: Delivery, reason: str, *, wait_s: float) -> None:
        """Try it again after `wait_s` seconds."""
        await self._execute(
            _of(delivery).values(
                tries=deliveries.c.tries + 1,
                reason=reason[:_REASON_LENGTH],
                next_try_at_ms=unix_ms(self._clock) + int(wait_s * 1000),
            )
        )

    async def hasten(self) -> None:
        """The panel is back: everything that waited out its absence is due now."""
        now_ms = unix_ms(self._clock)
        await self._execute(
            update(deliveries)
            .where(
                deliveries.c.status == DeliveryStatus.PENDING,
                deliveries.c.next_try_at_ms > now_ms,
            )
            .values(next_try_at_ms=now_ms)
        )

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Give what was given up, newest first."""
        query = (
            select(deliveries, results.c.attempt_id)
            .join_from(deliveries, results)
            .where(deliveries.c.status == DeliveryStatus.DEAD)
            .order_by(deliveries.c.settled_at_ms.desc(), deliveries.c.sequence.desc())
            .limit(limit)
        )
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [
            DeadLetter(row.attempt_id, row.reason, moment(row.settled_at_ms), row.tries)
            for row in rows
        ]

    async def retry_dead(self, attempt_ids: Sequence[str]) -> int:
        """Put dead letters back into the queue, all when none is named; give how many."""
        statement = update(deliveries).where(deliveries.c.status == DeliveryStatus.DEAD)
        if attempt_ids:
            named = select(results.c.sequence).where(results.c.attempt_id.in_(attempt_ids))
            statement = statement.where(deliveries.c.sequence.in_(named))
        return await self._execute(
            statement.values(
                status=DeliveryStatus.PENDING,
                next_try_at_ms=unix_ms(self._clock),
                settled_at_ms=None,
            )
        )

    async def depth(self) -> Depth:
        """Measure what waits."""
        counts = select(deliveries.c.status, func.count()).group_by(deliveries.c.status)
        oldest = (
            select(func.min(results.c.received_at_ms))
            .join_from(results, deliveries)
            .where(deliveries.c.status == DeliveryStatus.PENDING)
        )
        async with self._storage.transaction() as connection:
            by_status = {row[0]: row[1] for row in await connection.execute(counts)}
            oldest_ms = await connection.scalar(oldest)
        now_ms = unix_ms(self._clock)
        return Depth(
            pending=by_status.get(DeliveryStatus.PENDING, 0),
            dead=by_status.get(DeliveryStatus.DEAD, 0),
            oldest_age_s=0.0 if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000),
        )

    async def _settle(self, delivery: Delivery, status: DeliveryStatus, reason: str) -> None:
        await self._execute(
            _of(delivery).values(
                status=status,
                tries=deliveries.c.tries + 1,
                reason=reason[:_REASON_LENGTH],
                settled_at_ms=unix_ms(self._clock),
            )
        )

    async def _execute(self, statement: Update) -> int:
        async with self._storage.transaction() as connection:
            return (await connection.execute(statement)).rowcount


def _of(delivery: Delivery) -> Update:
    return update(deliveries).where(deliveries.c.sequence == delivery.sequence)


def _first_of_contact() -> ColumnElement[bool]:
    """Pending, and no earlier result of the same contact is."""
    earlier = deliveries.alias("earlier")
    return and_(
        deliveries.c.status == DeliveryStatus.PENDING,
        ~select(earlier.c.sequence)
        .where(
            earlier.c.contact == deliveries.c.contact,
            earlier.c.status == DeliveryStatus.PENDING,
            earlier.c.sequence < deliveries.c.sequence,
        )
        .exists(),
    )
