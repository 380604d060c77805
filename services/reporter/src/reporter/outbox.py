"""The outbox: results that the panel must still hear of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.erasing import erase_noted
from reporter.storage import storable, unix_ms
from reporter.tables import DeliveryStatus, breaker, deliveries, results
from salehi.reporter.v1 import reporter_pb2
from servicekit.clock import Clock
from servicekit.storage import Storage

_REASON_LENGTH = 300
_LEASE_S = 60.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result to report to the panel.

    Attributes:
        sequence: its row.
        report: what to report. Personal data.
        tries: how often it was tried before.
        switches_off: this result opened the breaker, which is still open: the panel stops too.
        traceparent: the trace of the report; empty when tracing is off.
        leased_until_ms: until then it is ours alone, Unix milliseconds.
    """

    sequence: int
    report: reporter_pb2.ReportResultRequest
    tries: int
    switches_off: bool
    traceparent: str
    leased_until_ms: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one try of a delivery came to.

    Attributes:
        delivery: the one that was tried.
        status: DELIVERED, DEAD, or PENDING to try it again.
        reason: why it did not arrive; may hold what the panel said, so it is never logged.
        wait_s: seconds until the next try.
    """

    delivery: Delivery
    status: DeliveryStatus
    reason: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits: rows pending, rows dead, and the age of the oldest pending one, seconds."""

    pending: int
    dead: int
    oldest_age_s: float


class Outbox:
    """The deliveries. Every method may raise StoreUnavailable.

    Of one contact's deliveries only the oldest pending one is ever given out, which is what keeps
    them in order. What is given out is leased for `lease_s` seconds, so that of several reporters
    only one sends it; what a crashed one held is given out again after that.
    """

    def __init__(self, storage: Storage, clock: Clock, *, lease_s: float = _LEASE_S) -> None:
        self._storage = storage
        self._clock = clock
        self._lease_ms = int(lease_s * 1000)

    async def lease(self, limit: int, *, due_only: bool) -> list[Delivery]:
        """Give what can be sent, first due first; with `due_only` false also what waits longer."""
        now_ms = unix_ms(self._clock)
        first = (
            select(deliveries.c.sequence)
            .where(_first_of_contact(), deliveries.c.leased_until_ms <= now_ms)
            .order_by(deliveries.c.next_try_at_ms, deliveries.c.sequence)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        if due_only:
            first = first.where(deliveries.c.next_try_at_ms <= now_ms)
        until_ms = now_ms + self._lease_ms
        async with self._storage.transaction() as connection:
            found = (await connection.scalars(first)).all()
            if not found:
                return []
            leased = update(deliveries).where(deliveries.c.sequence.in_(found))
            await connection.execute(leased.values(leased_until_ms=until_ms))
            return await _deliveries(connection, found)

    async def end_leases(self) -> None:
        """At the start of the only reporter: what a crash left leased can be sent at once."""
        leased = update(deliveries).where(
            deliveries.c.status == DeliveryStatus.PENDING, deliveries.c.leased_until_ms > 0
        )
        async with self._storage.transaction() as connection:
            await connection.execute(leased.values(leased_until_ms=0))

    async def seconds_to_next(self) -> float | None:
        """Give how long until something can be sent, seconds; None when nothing waits."""
        now_ms = unix_ms(self._clock)
        query = (
            select(deliveries.c.next_try_at_ms)
            .where(_first_of_contact(), deliveries.c.leased_until_ms <= now_ms)
            .order_by(deliveries.c.next_try_at_ms, deliveries.c.sequence)
            .limit(1)
        )
        async with self._storage.transaction() as connection:
            due_ms = await connection.scalar(query)
        return None if due_ms is None else max(0.0, (due_ms - now_ms) / 1000)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Store what became of leased deliveries, all in one transaction."""
        now_ms = unix_ms(self._clock)
        in_order = sorted(settlements, key=lambda one: one.delivery.sequence)
        delivered = [
            one.delivery.sequence for one in in_order if one.status is DeliveryStatus.DELIVERED
        ]
        others = [one for one in in_order if one.status is not DeliveryStatus.DELIVERED]
        async with self._storage.transaction() as connection:
            if delivered:
                await _note_delivered(connection, delivered, now_ms)
                await erase_noted(connection, delivered)
            if others:
                await _note_failed(connection, others, now_ms)

    async def hasten(self) -> None:
        """The panel is back: everything that waited out its absence is due now."""
        now_ms = unix_ms(self._clock)
        later = (
            select(deliveries.c.sequence)
            .where(
                deliveries.c.status == DeliveryStatus.PENDING,
                deliveries.c.next_try_at_ms > now_ms,
            )
            .with_for_update(skip_locked=True)  # what is just being settled has its own time
        )
        hastened = update(deliveries).where(deliveries.c.sequence.in_(later))
        async with self._storage.transaction() as connection:
            await connection.execute(hastened.values(next_try_at_ms=now_ms))

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


async def _deliveries(connection: AsyncConnection, sequences: Sequence[int]) -> list[Delivery]:
    query = (
        select(
            deliveries.c.sequence,
            deliveries.c.tries,
            deliveries.c.traceparent,
            deliveries.c.leased_until_ms,
            results.c.report,
            and_(breaker.c.is_open, deliveries.c.opening == breaker.c.opening).label("off"),
        )
        .join_from(deliveries, results)
        .join(breaker, breaker.c.id == 1)
        .where(deliveries.c.sequence.in_(sequences))
        .order_by(deliveries.c.next_try_at_ms, deliveries.c.sequence)
    )
    return [
        Delivery(
            sequence=row.sequence,
            report=reporter_pb2.ReportResultRequest.FromString(row.report),
            tries=row.tries,
            switches_off=bool(row.off),
            traceparent=row.traceparent,
            leased_until_ms=row.leased_until_ms,
        )
        for row in await connection.execute(query)
    ]


async def _note_delivered(
    connection: AsyncConnection, sequences: Sequence[int], now_ms: int
) -> None:
    """The panel has them, whoever else may be trying by now."""
    await connection.execute(
        update(deliveries)
        .where(deliveries.c.sequence.in_(sequences))
        .values(
            status=DeliveryStatus.DELIVERED,
            tries=deliveries.c.tries + 1,
            reason="",
            settled_at_ms=now_ms,
            leased_until_ms=0,
        )
    )


async def _note_failed(
    connection: AsyncConnection, failed: Iterable[Settlement], now_ms: int
) -> None:
    """They are dead or wait; where the lease ran out, the next holder's word counts instead."""
    rows = [
        {
            "row": one.delivery.sequence,
            "held_until_ms": one.delivery.leased_until_ms,
            "status": one.status,
            "reason": storable(one.reason, _REASON_LENGTH),
            "next_try_at_ms": now_ms + int(one.wait_s * 1000),
            "settled_at_ms": now_ms if one.status is DeliveryStatus.DEAD else None,
        }
        for one in failed
    ]
    await connection.execute(
        update(deliveries)
        .where(
            deliveries.c.sequence == bindparam("row"),
            deliveries.c.status == DeliveryStatus.PENDING,
            deliveries.c.leased_until_ms == bindparam("held_until_ms"),
        )
        .values(tries=deliveries.c.tries + 1, leased_until_ms=0),
        rows,
    )


def _first_of_contact() -> ColumnElement[bool]:
    """Pending, and no earlier result of the same contact is.

    Asked this way round PostgreSQL looks it up per row, instead of joining all that waits.
    """
    first = deliveries.alias("first")
    return and_(
        deliveries.c.status == DeliveryStatus.PENDING,
        deliveries.c.sequence
        == select(first.c.sequence)
        .where(first.c.contact == deliveries.c.contact, first.c.status == DeliveryStatus.PENDING)
        .order_by(first.c.sequence)
        .limit(1)
        .scalar_subquery(),
    )
