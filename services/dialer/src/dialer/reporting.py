"""Telling the reporter of results the gateway never had, until it acknowledges."""

from __future__ import annotations

import asyncio

import grpc
import structlog
from grpc import aio
from opentelemetry import trace

from dialer.errors import ReporterUnavailable, ReportRefused
from dialer.metrics import REPORTS_SENT
from dialer.reports import WaitingReport, acknowledged, refused, waiting_reports
from dialer.waking import Backoff, Bells, Trouble
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.channel import Peer
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable
from servicekit.tracing import context_of, of_attempt

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

SERVICE = "salehi.reporter.v1.ReporterService"
IDEMPOTENT = ("ReportResult",)
_TIMEOUT_S = 5.0
_LONGEST_WAIT_S = 5.0  # a claim may leave a report too


class Reporter:
    """The reporter as the dialer sees it."""

    def __init__(self, peer: Peer) -> None:
        self._stub = reporter_pb2_grpc.ReporterServiceStub(peer.channel)

    async def report(self, request: reporter_pb2.ReportResultRequest) -> None:
        """Hand over one result; returns once it is on record.

        Raises:
            ReporterUnavailable: not acknowledged; repeat.
            ReportRefused: it will never be taken.
        """
        try:
            await self._stub.ReportResult(request, timeout=_TIMEOUT_S)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise ReportRefused(error.details() or "invalid") from error
            raise ReporterUnavailable(error.code().name) from error


class ReportSender:
    """Sends waiting reports, oldest first; what is not acknowledged is sent again."""

    def __init__(self, storage: Storage, reporter: Reporter, *, bells: Bells, clock: Clock) -> None:
        self._storage = storage
        self._reporter = reporter
        self._bells = bells
        self._patience = Backoff(clock, first_s=0.5, cap_s=30.0)
        self._trouble = Trouble("results wait for the reporter", "the reporter takes results again")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                sent = await self._send_page()
            except (ReporterUnavailable, StoreUnavailable) as error:
                self._trouble.on(error)
                self._patience.failed()
                await asyncio.sleep(self._patience.remaining_s())
                continue
            self._patience.succeeded()
            self._trouble.over()
            if not sent:
                await self._bells.report.wait(_LONGEST_WAIT_S)

    async def _send_page(self) -> int:
        async with self._storage.transaction() as connection:
            waiting = await waiting_reports(connection)
        for report in waiting:
            try:
                await self._send(report)
            except ReportRefused as error:
                log.warning("refused by the reporter", attempt_id=report.attempt_id)
                REPORTS_SENT.labels("refused").inc()
                async with self._storage.transaction() as connection:
                    await refused(connection, report.attempt_id, str(error))
            else:
                REPORTS_SENT.labels("acknowledged").inc()
                async with self._storage.transaction() as connection:
                    await acknowledged(connection, report.attempt_id)
        return len(waiting)

    async def _send(self, report: WaitingReport) -> None:
        with (
            of_attempt(report.attempt_id),
            tracer.start_as_current_span("report result", context_of(report.traceparent)),
        ):
            await self._reporter.report(report.request)
