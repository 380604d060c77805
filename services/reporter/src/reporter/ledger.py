"""The record of results: each attempt once, together with everything that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.alerts import AlertPlan
from reporter.breaker import BreakerRule, BreakerState, lock_breaker, save_breaker
from reporter.callbacks import CallbackRule, RecordedCall
from reporter.erasing import without_person
from reporter.storage import storable, unix_ms
from reporter.tables import AlertKind, DeliveryStatus, deliveries, results
from reporter.words import in_words
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.clock import Clock
from servicekit.storage import Storage
from servicekit.tracing import traceparent

_PANEL = "panel"
_LAST_SECOND = 253_402_300_799  # of the year 9999
_KNOWN = (results.c.sequence, results.c.result, results.c.number, results.c.attempted_at_ms)


@dataclass(frozen=True, slots=True)
class Reported:
    """A report on its way into the ledger.

    Attributes:
        report: as it came. Personal data.
        traceparent: the trace it came in; empty when tracing is off.
    """

    report: reporter_pb2.ReportResultRequest
    traceparent: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report changed.

    Attributes:
        already_known: the attempt was on record before.
        replaced: it was, but only now we know that an operator answered.
        opened: this result opened the breaker.
        passed: this result was a trial call's, and the cause of the opening is gone.
        to_deliver: the panel must hear of it.
    """

    already_known: bool = False
    replaced: bool = False
    opened: bool = False
    passed: bool = False
    to_deliver: bool = False


class Ledger:
    """Takes results. Every method may raise StoreUnavailable."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        rule: BreakerRule,
        alert_plan: AlertPlan,
        callback_rule: CallbackRule,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._rule = rule
        self._alert_plan = alert_plan
        self._callback_rule = callback_rule

    async def record(self, report: reporter_pb2.ReportResultRequest) -> Recorded:
        """Store one result; see `record_all`."""
        (recorded,) = await self.record_all([Reported(report, traceparent())])
        return recorded

    async def record_all(self, reported: Sequence[Reported]) -> list[Recorded]:
        """Store results, and in the same transaction all that follows from them.

        That is their deliveries, the callbacks, and what they do to the breaker.

        The first result of an attempt wins. One exception: a later one that says the operator
        answered replaces it, because that is what the customer lived through. What the panel
        already accepted is not reported again: every report counts as an attempt there.
        """
        now_ms = unix_ms(self._clock)
        async with self._storage.transaction() as connection:
            state = await lock_breaker(connection)
            new = await _new_ones(connection, reported)
            recorded: dict[str, Recorded] = {}
            openings: dict[str, int] = {}
            for one in new:
                after = await self._judge(connection, state, one, now_ms)
                attempt_id = one.report.attempt_id
                recorded[attempt_id] = _recorded(state, after, one)
                if recorded[attempt_id].opened:
                    openings[attempt_id] = after.opening
                state = after
            calls = await _insert(connection, new, openings, now_ms)
            await self._callback_rule.follow(connection, calls)
            return [
                recorded.pop(one.report.attempt_id)
                if one.report.attempt_id in recorded
                else await self._repeat(connection, one.report)
                for one in reported
            ]

    async def _judge(
        self, connection: AsyncConnection, before: BreakerState, one: Reported, now_ms: int
    ) -> BreakerState:
        """Store what a new result does to the breaker, and the alert of an opening."""
        after = self._rule.after(before, one.report, now_ms)
        if after != before:
            await save_breaker(connection, after)
        if after.opening > before.opening:
            await self._alert_plan.tell(connection, AlertKind.OPENED, after, now_ms)
        return after

    async def _repeat(
        self, connection: AsyncConnection, report: reporter_pb2.ReportResultRequest
    ) -> Recorded:
        """Take a report of an attempt that is on record."""
        here = results.c.attempt_id == report.attempt_id
        known = (await connection.execute(select(*_KNOWN).where(here))).one()
        answered = report.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        if not answered or known.result == in_words(report.outcome):
            return Recorded(already_known=True)
        if not known.number:  # the person has been forgotten meanwhile
            without_person(report)
        await connection.execute(
            update(results)
            .where(here)
            .values(
                result=in_words(report.outcome),
                report=report.SerializeToString(),
                has_words=_has_words(report),
            )
        )
        call = _recorded_call(known.sequence, report, known.attempted_at_ms)
        await self._callback_rule.follow(connection, [call])
        return Recorded(already_known=True, replaced=True)


def _recorded(before: BreakerState, after: BreakerState, one: Reported) -> Recorded:
    return Recorded(
        opened=after.opening > before.opening,
        passed=after.trial_passed and not before.trial_passed,
        to_deliver=_concerns_panel(one.report),
    )


async def _new_ones(connection: AsyncConnection, reported: Sequence[Reported]) -> list[Reported]:
    """Give the reports whose attempt is not on record, each attempt once."""
    first: dict[str, Reported] = {}
    for one in reported:
        first.setdefault(one.report.attempt_id, one)
    known = set(
        await connection.scalars(
            select(results.c.attempt_id).where(results.c.attempt_id.in_(list(first)))
        )
    )
    return [one for attempt_id, one in first.items() if attempt_id not in known]


async def _insert(
    connection: AsyncConnection, new: Sequence[Reported], openings: dict[str, int], now_ms: int
) -> list[RecordedCall]:
    """Insert new results, and the deliveries of those that concern the panel."""
    rows = [_result_row(one.report, now_ms) for one in new]
    if not rows:
        return []
    # In this order, because deliveries of one contact leave in the order of their numbers.
    numbered = insert(results).returning(results.c.sequence, sort_by_parameter_order=True)
    sequences = (await connection.scalars(numbered, rows)).all()
    sent_on = [
        _delivery_row(sequence, one, openings.get(one.report.attempt_id), now_ms)
        for sequence, one in zip(sequences, new, strict=True)
        if _concerns_panel(one.report)
    ]
    if sent_on:
        await connection.execute(insert(deliveries), sent_on)
    return [
        _recorded_call(sequence, one.report, _attempted_at_ms(one.report, now_ms))
        for sequence, one in zip(sequences, new, strict=True)
    ]


def _concerns_panel(report: reporter_pb2.ReportResultRequest) -> bool:
    inbound = report.direction == calls_pb2.DIRECTION_INBOUND
    return report.contact.source == _PANEL and not inbound


def _result_row(report: reporter_pb2.ReportResultRequest, now_ms: int) -> dict[str, object]:
    return {
        "attempt_id": report.attempt_id,
        "result": storable(in_words(report.outcome), 200),
        "number": storable(report.contact.number, 40),
        "received_at_ms": now_ms,
        "report": report.SerializeToString(),
        "attempted_at_ms": _attempted_at_ms(report, now_ms),
        "direction": report.direction,
        "source": storable(report.contact.source, 20),
        "line": storable(report.line, 80),
        "has_words": _has_words(report),
    }


def _delivery_row(
    sequence: int, one: Reported, opening: int | None, now_ms: int
) -> dict[str, object]:
    return {
        "sequence": sequence,
        "contact": one.report.contact.panel_number_id,
        "status": DeliveryStatus.PENDING,
        "tries": 0,
        "next_try_at_ms": now_ms,
        "reason": "",
        "opening": opening,
        "traceparent": one.traceparent[:64],
        "leased_until_ms": 0,
    }


def _recorded_call(
    sequence: int, report: reporter_pb2.ReportResultRequest, attempted_at_ms: int
) -> RecordedCall:
    return RecordedCall(
        sequence=sequence,
        attempt_id=report.attempt_id,
        number=report.contact.number,
        outcome=report.outcome,
        attempted_at_ms=attempted_at_ms,
        ended_at_ms=_known_ms(report.ended_at, attempted_at_ms),
    )


def _has_words(report: reporter_pb2.ReportResultRequest) -> bool:
    return any(turn.heard for turn in report.outcome.turns)


def _attempted_at_ms(report: reporter_pb2.ReportResultRequest, now_ms: int) -> int:
    stamp = report.attempted_at if report.HasField("attempted_at") else report.ended_at
    return _known_ms(stamp, now_ms)


def _known_ms(stamp: Timestamp, otherwise_ms: int) -> int:
    known = 0 < stamp.seconds <= _LAST_SECOND
    return int(stamp.ToMilliseconds()) if known else otherwise_ms
