"""The record of results: each attempt once, together with everything that follows from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.alerts import AlertPlan
from reporter.breaker import BreakerRule, BreakerState, lock_breaker, save_breaker
from reporter.errors import BadPageToken
from reporter.storage import Storage, moment, unix_ms
from reporter.tables import AlertKind, DeliveryStatus, deliveries, results
from reporter.words import in_words
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.clock import Clock
from servicekit.tracing import traceparent

_PANEL = "panel"
_STREAM_PAGE = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report changed.

    Attributes:
        already_known: the attempt was on record before.
        replaced: it was, but only now we know that an operator answered.
        opened: this result opened the breaker.
        to_deliver: the panel must hear of it.
    """

    already_known: bool = False
    replaced: bool = False
    opened: bool = False
    to_deliver: bool = False


@dataclass(frozen=True, slots=True)
class KeptResult:
    """One result as kept.

    Attributes:
        sequence: grows with every result.
        report: as reported. Personal data.
        result: in the campaign's words.
        received_at: when it was stored, UTC.
        delivery: where its delivery to the panel stands; None when there is nothing to deliver.
    """

    sequence: int
    report: reporter_pb2.ReportResultRequest
    result: str
    received_at: datetime
    delivery: DeliveryStatus | None


class Ledger:
    """Takes and gives results. Every method may raise StoreUnavailable."""

    def __init__(
        self, storage: Storage, clock: Clock, rule: BreakerRule, alert_plan: AlertPlan
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._rule = rule
        self._alert_plan = alert_plan

    async def record(self, report: reporter_pb2.ReportResultRequest) -> Recorded:
        """Store a result, its delivery and what it does to the breaker in one transaction.

        The first result of an attempt wins. One exception: a later one that says the operator
        answered replaces it, because that is what the customer lived through. What the panel
        already accepted is not reported again: every report counts as an attempt there.
        """
        now_ms = unix_ms(self._clock)
        async with self._storage.transaction() as connection:
            state = await lock_breaker(connection)
            known = await connection.scalar(
                select(results.c.result).where(results.c.attempt_id == report.attempt_id)
            )
            if known is not None:
                return await self._replace(connection, known, report)
            after = self._rule.after(state, report.outcome, now_ms)
            opened = after.opening > state.opening
            sequence = await _insert_result(connection, report, now_ms)
            to_deliver = _concerns_panel(report)
            if to_deliver:
                opening = after.opening if opened else None
                await _insert_delivery(connection, sequence, report, opening, now_ms)
            await self._save_breaker(connection, state, after, now_ms)
        return Recorded(opened=opened, to_deliver=to_deliver)

    async def page(self, *, size: int, token: str, attempt_id: str) -> tuple[list[KeptResult], str]:
        """Give results newest first, and the token of the next page (empty on the last).

        Raises:
            BadPageToken: no page ever carried this token.
        """
        query = _kept().order_by(results.c.sequence.desc()).limit(size + 1)
        if token:
            query = query.where(results.c.sequence < _sequence_of(token))
        if attempt_id:
            query = query.where(results.c.attempt_id == attempt_id)
        kept = await self._fetch(query)
        next_token = str(kept[size - 1].sequence) if len(kept) > size else ""
        return kept[:size], next_token

    async def stream(self) -> AsyncIterator[list[KeptResult]]:
        """Give all results oldest first, in pages; each page is a transaction of its own."""
        last = 0
        while True:
            query = _kept().where(results.c.sequence > last).order_by(results.c.sequence)
            page = await self._fetch(query.limit(_STREAM_PAGE))
            if not page:
                return
            yield page
            last = page[-1].sequence

    async def _replace(
        self, connection: AsyncConnection, known: str, report: reporter_pb2.ReportResultRequest
    ) -> Recorded:
        answered = report.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        result = in_words(report.outcome)
        if not answered or known == result:
            return Recorded(already_known=True)
        await connection.execute(
            update(results)
            .where(results.c.attempt_id == report.attempt_id)
            .values(result=result, report=report.SerializeToString())
        )
        return Recorded(already_known=True, replaced=True)

    async def _save_breaker(
        self, connection: AsyncConnection, before: BreakerState, after: BreakerState, now_ms: int
    ) -> None:
        if after != before:
            await save_breaker(connection, after)
        if after.opening > before.opening:
            await self._alert_plan.tell(connection, AlertKind.OPENED, after, now_ms)

    async def _fetch(self, query: Select[*tuple[object, ...]]) -> list[KeptResult]:
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [_kept_result(row) for row in rows]


def _concerns_panel(report: reporter_pb2.ReportResultRequest) -> bool:
    inbound = report.direction == calls_pb2.DIRECTION_INBOUND
    return report.contact.source == _PANEL and not inbound


async def _insert_result(
    connection: AsyncConnection, report: reporter_pb2.ReportResultRequest, now_ms: int
) -> int:
    stored = await connection.execute(
        insert(results)
        .values(
            attempt_id=report.attempt_id,
            result=in_words(report.outcome)[:200],
            number=report.contact.number[:40],
            received_at_ms=now_ms,
            report=report.SerializeToString(),
        )
        .returning(results.c.sequence)
    )
    return int(stored.scalar_one())


async def _insert_delivery(
    connection: AsyncConnection,
    sequence: int,
    report: reporter_pb2.ReportResultRequest,
    opening: int | None,
    now_ms: int,
) -> None:
    await connection.execute(
        insert(deliveries).values(
            sequence=sequence,
            contact=report.contact.panel_number_id,
            status=DeliveryStatus.PENDING,
            tries=0,
            next_try_at_ms=now_ms,
            reason="",
            opening=opening,
            traceparent=traceparent()[:64],
        )
    )


def _kept() -> Select[*tuple[object, ...]]:
    return select(results, deliveries.c.status).join_from(results, deliveries, isouter=True)


def _kept_result(row: Row[*tuple[object, ...]]) -> KeptResult:
    return KeptResult(
        sequence=row.sequence,
        report=reporter_pb2.ReportResultRequest.FromString(row.report),
        result=row.result,
        received_at=moment(row.received_at_ms),
        delivery=None if row.status is None else DeliveryStatus(row.status),
    )


def _sequence_of(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise BadPageToken(token)
    return int(token)
