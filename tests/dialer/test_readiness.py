from __future__ import annotations

from typing import Any

import pytest

from dialer import gateway as adapter
from dialer.gateway import Gateway
from dialer.moments import now_ms
from dialer.readiness import Readiness
from dialer_support.gateway import FakeGateway, served
from salehi.calls.v1 import calls_pb2
from servicekit.channel import Peer
from servicekit.clock import SystemClock


class ClockedGateway(FakeGateway):
    """A gateway whose clock is ahead of ours by so many milliseconds."""

    def __init__(self, ahead_ms: int) -> None:
        super().__init__()
        self._ahead_ms = ahead_ms

    async def ListCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.ListCallsRequest, _context: Any
    ) -> calls_pb2.ListCallsResponse:
        """List calls, and tell the time."""
        answer = await super().ListCalls(request, _context)
        answer.now.FromMilliseconds(now_ms(SystemClock()) + self._ahead_ms)
        return answer


@pytest.mark.parametrize(
    ("ahead_ms", "told"),
    [(0, ""), (5000, "the clocks of dialer and ari-gateway are 5"), (-5000, "the clocks")],
)
async def test_nothing_is_dialled_while_the_clocks_disagree(ahead_ms: int, told: str) -> None:
    """A gateway whose clock is five seconds off is an obstacle that says what to do."""
    gateway = ClockedGateway(ahead_ms)
    async with served(gateway) as port, Peer(f"127.0.0.1:{port}", adapter.SERVICE) as peer:
        obstacle = await Readiness(Gateway(peer), SystemClock()).obstacle()
    assert obstacle.startswith(told)
    assert bool(obstacle) is bool(told)
