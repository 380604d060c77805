"""Hands results to the reporter; each stays on record here until it is acknowledged."""

from __future__ import annotations

import asyncio
import random

import grpc
import structlog
from grpc import aio

from ari_gateway.metrics import UNREPORTED_RESULTS
from ari_gateway.sessions.ledger import Ledger
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.channel import Peer
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

REPORTER = "salehi.reporter.v1.ReporterService"

_DEADLINE_S = 5.0
_RETRY_FIRST_S = 0.5
_RETRY_MAX_S = 15.0
_TOGETHER = 20


class ResultOutbox:
    """Reports every ended call, in order, until each is acknowledged."""

    def __init__(self, ledger: Ledger, reporter: Peer) -> None:
        self._ledger = ledger
        self._reporter = reporter_pb2_grpc.ReporterServiceStub(reporter.channel)
        self._news = asyncio.Event()
        self._empty = asyncio.Event()

    def wake(self) -> None:
        """There is a new result."""
        self._empty.clear()
        self._news.set()

    async def flushed(self) -> None:
        """Wait until every result known now is acknowledged."""
        await self._empty.wait()

    async def run(self) -> None:
        """Report for ever; a reporter that is away is asked again, with growing pauses."""
        wait_s = _RETRY_FIRST_S
        while True:
            self._news.clear()
            if await self._all_reported():
                wait_s = _RETRY_FIRST_S
                if not self._news.is_set():
                    self._empty.set()
                await self._news.wait()
            else:
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
                wait_s = min(wait_s * 2, _RETRY_MAX_S)

    async def _all_reported(self) -> bool:
        try:
            waiting = await self._ledger.unreported()
            UNREPORTED_RESULTS.set(len(waiting))
            # The first goes alone: whether the reporter is there, one request tells.
            taken = await self._all_taken(waiting[:1])
            for first in range(1, len(waiting), _TOGETHER):
                taken += await self._all_taken(waiting[first : first + _TOGETHER])
        except aio.AioRpcError as error:
            log.warning("the reporter did not take a result", status=error.code().name)
        except StoreUnavailable as error:
            log.warning("the session store is away", reason=str(error))
        else:
            return all(taken)
        return False

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
            await self._reporter.ReportResult(_report(call), timeout=_DEADLINE_S)
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            log.warning("the reporter refuses a result; it is kept", attempt_id=call.attempt_id)
            return False
        await self._ledger.reported(call.attempt_id)
        UNREPORTED_RESULTS.dec()
        return True


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
