"""Hands results to the reporter; each stays on record here until it is acknowledged."""

from __future__ import annotations

import asyncio
import random

import grpc
import stamina
import structlog
from grpc import aio
from opentelemetry import trace

from ari_gateway.metrics import UNREPORTED_RESULTS
from ari_gateway.sessions.ledger import Ledger
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.channel import Peer
from servicekit.storage import StoreUnavailable
from servicekit.tracing import context_of, of_attempt

log = structlog.get_logger(__name__)

REPORTER = "salehi.reporter.v1.ReporterService"

tracer = trace.get_tracer(__name__)

_DEADLINE_S = 5.0
_RETRY_FIRST_S = 0.5
_RETRY_MAX_S = 15.0
_TOGETHER = 20
_NOTED_TOGETHER_S = 0.5


class ResultOutbox:
    """Reports every ended call, in order, until each is acknowledged.

    What a crash left unreported is read from the record once, at the start. That a result is
    acknowledged is noted a moment later, with others: after a crash in that moment it is reported
    again, and the reporter knows it.
    """

    def __init__(self, ledger: Ledger, reporter: Peer) -> None:
        self._ledger = ledger
        self._reporter = reporter_pb2_grpc.ReporterServiceStub(reporter.channel)
        self._waiting: dict[str, calls_pb2.Call] = {}
        self._acknowledged: list[str] = []
        self._news = asyncio.Event()
        self._taken_some = asyncio.Event()
        self._empty = asyncio.Event()

    def add(self, call: calls_pb2.Call) -> None:
        """Report a call that has ended and is on record so."""
        self._waiting[call.attempt_id] = call
        UNREPORTED_RESULTS.set(len(self._waiting))
        self._empty.clear()
        self._news.set()

    async def flushed(self) -> None:
        """Wait until every result known now is acknowledged, and that is on record."""
        await self._empty.wait()

    async def run(self) -> None:
        """Report for ever; a reporter that is away is asked again, with growing pauses."""
        await self._read_record()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note_all())
            tasks.create_task(self._report_all())

    async def _read_record(self) -> None:
        async for attempt in stamina.retry_context(
            on=StoreUnavailable, attempts=None, timeout=None, wait_initial=_RETRY_FIRST_S
        ):
            with attempt:
                left = await self._ledger.unreported()
        self._waiting = {call.attempt_id: call for call in left} | self._waiting
        UNREPORTED_RESULTS.set(len(self._waiting))

    async def _report_all(self) -> None:
        wait_s = _RETRY_FIRST_S
        while True:
            self._news.clear()
            if await self._all_reported():
                wait_s = _RETRY_FIRST_S
                self._see_whether_empty()
                await self._news.wait()
            else:
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
                wait_s = min(wait_s * 2, _RETRY_MAX_S)

    async def _all_reported(self) -> bool:
        waiting = list(self._waiting.values())
        try:
            # The first goes alone: whether the reporter is there, one request tells.
            taken = await self._all_taken(waiting[:1])
            for first in range(1, len(waiting), _TOGETHER):
                taken += await self._all_taken(waiting[first : first + _TOGETHER])
        except aio.AioRpcError as error:
            log.warning("the reporter did not take a result", status=error.code().name)
            return False
        return all(taken)

    async def _all_taken(self, calls: list[calls_pb2.Call]) -> list[bool]:
        """Report some results at once; each is seen through, whatever becomes of another."""
        answers = await asyncio.gather(*map(self._taken, calls), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer is True for answer in answers]

    async def _taken(self, call: calls_pb2.Call) -> bool:
        """Report one result; False when it is refused for good, which holds up no other."""
        try:
            with (
                of_attempt(call.attempt_id),
                tracer.start_as_current_span("report result", context_of(call.traceparent)),
            ):
                await self._reporter.ReportResult(_report(call), timeout=_DEADLINE_S)
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            log.warning("the reporter refuses a result; it is kept", attempt_id=call.attempt_id)
            return False
        del self._waiting[call.attempt_id]
        UNREPORTED_RESULTS.set(len(self._waiting))
        self._acknowledged.append(call.attempt_id)
        self._taken_some.set()
        return True

    async def _note_all(self) -> None:
        while True:
            await self._taken_some.wait()
            await asyncio.sleep(_NOTED_TOGETHER_S)
            self._taken_some.clear()
            noted = list(self._acknowledged)
            try:
                await self._ledger.reported(noted)
            except StoreUnavailable as error:
                log.warning("acknowledged results could not be noted", reason=str(error))
                self._taken_some.set()
                continue
            del self._acknowledged[: len(noted)]
            self._see_whether_empty()

    def _see_whether_empty(self) -> None:
        if not self._waiting and not self._acknowledged:
            self._empty.set()


def _report(call: calls_pb2.Call) -> reporter_pb2.ReportResultRequest:
    report = reporter_pb2.ReportResultRequest(
        attempt_id=call.attempt_id,
        direction=call.direction,
        contact=call.contact,
        line=call.line,
        attempted_at=call.created_at,
        ended_at=call.ended_at,
        outcome=call.outcome,
    )
    if call.HasField("answered_at"):
        report.answered_at.CopyFrom(call.answered_at)
    return report
