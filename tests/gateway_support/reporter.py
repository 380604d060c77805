"""A reporter made of memory, behind what looks like a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
from grpc import aio

from salehi.reporter.v1 import reporter_pb2


class Reporter:
    """Takes results as the real one does: once each, and a duplicate changes nothing.

    Attributes:
        kept: what it committed, by attempt.
        asked: the attempt of every request, in order.
        away_until_s: the loop's time until which nobody answers.
        slow: so many requests are committed, but answered after their deadline.
        refuses: attempts it finds fault with.
    """

    def __init__(self) -> None:
        self.kept: dict[str, reporter_pb2.ReportResultRequest] = {}
        self.asked: list[str] = []
        self.away_until_s = 0.0
        self.slow = 0
        self.refuses: set[str] = set()

    @property
    def channel(self) -> Reporter:
        """What a peer has."""
        return self

    def unary_unary(
        self, _method: str, **_kwargs: Any
    ) -> Callable[..., Coroutine[Any, Any, reporter_pb2.ReportResultResponse]]:
        """Give the method, as a channel does for a stub."""
        return self._report_result

    def unary_stream(self, _method: str, **_kwargs: Any) -> None:
        """The stub makes its streaming methods, too; none is used."""

    async def _report_result(
        self, request: reporter_pb2.ReportResultRequest, *, timeout: float
    ) -> reporter_pb2.ReportResultResponse:
        self.asked.append(request.attempt_id)
        if asyncio.get_running_loop().time() < self.away_until_s:
            raise _error(grpc.StatusCode.UNAVAILABLE)
        if request.attempt_id in self.refuses:
            raise _error(grpc.StatusCode.INVALID_ARGUMENT)
        known = self.kept.setdefault(request.attempt_id, request)
        assert known == request, "a duplicate says the same"
        if self.slow:
            self.slow -= 1
            await asyncio.sleep(timeout)
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED)
        return reporter_pb2.ReportResultResponse()


def _error(code: grpc.StatusCode) -> aio.AioRpcError:
    return aio.AioRpcError(code, aio.Metadata(), aio.Metadata())
