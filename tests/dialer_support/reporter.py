"""A reporter that speaks the real contract and keeps results in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from dialer.reporting import SERVICE
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.server import GrpcServer, GrpcService
from servicekit.tracing import traceparent


class FakeReporter(reporter_pb2_grpc.ReporterServiceServicer):
    """Keeps what is reported; `failures` are answered first, one per request.

    Attributes:
        requests: everything that was asked, repeats included.
        traceparents: the trace position each attempt was last reported in; empty for none.
        results: what was first said of each attempt.
    """

    def __init__(self) -> None:
        self.failures: list[grpc.StatusCode] = []
        self.results: dict[str, reporter_pb2.ReportResultRequest] = {}
        self.asked = 0
        self.requests: list[reporter_pb2.ReportResultRequest] = []
        self.traceparents: dict[str, str] = {}

    async def ReportResult(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ReportResultRequest, context: Any
    ) -> reporter_pb2.ReportResultResponse:
        """Take a result."""
        self.asked += 1
        self.requests.append(request)
        self.traceparents[request.attempt_id] = traceparent()
        if self.failures:
            await context.abort(self.failures.pop(0), "as the test wants")
        known = request.attempt_id in self.results
        self.results.setdefault(request.attempt_id, request)
        return reporter_pb2.ReportResultResponse(already_known=known)


def fake_reporter(*failures: grpc.StatusCode) -> FakeReporter:
    """Make a reporter that fails so often before it works."""
    fake = FakeReporter()  # type: ignore[abstract] # what the dialer never calls is left out
    fake.failures = list(failures)
    return fake


@contextlib.asynccontextmanager
async def served(fake: FakeReporter) -> AsyncIterator[int]:
    """Serve the reporter on loopback; give the port."""
    add = reporter_pb2_grpc.add_ReporterServiceServicer_to_server
    server = GrpcServer([GrpcService(SERVICE, add, fake)])
    port = await server.start("127.0.0.1", 0, "TEST_PORT")
    try:
        yield port
    finally:
        await server.drain(0)
