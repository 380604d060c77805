"""The ari-gateway as the dialer sees it; the only module that knows its status codes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc
from grpc import aio

from dialer.errors import GatewayRefused, GatewayUnavailable, RequestRejected
from dialer.moments import timestamp_of
from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from servicekit.channel import Peer

SERVICE = "salehi.calls.v1.CallService"
IDEMPOTENT = ("ListCalls", "HangUp")
PLACE_TIMEOUT_S = 5.0
_ASK_TIMEOUT_S = 5.0

_NOT_NOW = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION}


@dataclass(frozen=True)
class CallList:
    """Calls at one moment.

    Attributes:
        ready_to_dial: whether the gateway would take a call now.
        not_ready_reason: why not; empty when ready.
        now_ms: the gateway's clock; None when it does not tell.
    """

    calls: tuple[calls_pb2.Call, ...]
    ready_to_dial: bool
    not_ready_reason: str
    now_ms: int | None = None


@dataclass(frozen=True)
class Position:
    """Where the stream of changes stands; as made, before its first message."""

    epoch: str = ""
    sequence: int = 0


class Gateway:
    """One ari-gateway."""

    def __init__(self, peer: Peer) -> None:
        self.address = peer.target
        self._channel = peer.channel
        self._stub = calls_pb2_grpc.CallServiceStub(peer.channel)

    async def connected(self) -> None:
        """Wait until the gateway is there."""
        await self._channel.channel_ready()

    async def place(self, request: calls_pb2.PlaceCallRequest) -> calls_pb2.Call:
        """Ask for one call.

        Raises:
            GatewayRefused: not now; nothing was dialled.
            RequestRejected: never; nothing was dialled.
            GatewayUnavailable: no answer; whether it was or will be dialled is unknown.
        """
        try:
            response = await self._stub.PlaceCall(request, timeout=PLACE_TIMEOUT_S)
        except aio.AioRpcError as error:
            if error.code() in _NOT_NOW:
                raise GatewayRefused(error.details() or error.code().name) from error
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise RequestRejected(error.details() or "invalid request") from error
            raise GatewayUnavailable(error.code().name) from error
        return response.call

    async def list_calls(
        self,
        attempt_ids: Sequence[str] = (),
        *,
        include_ended: bool = False,
    ) -> CallList:
        """List live calls, or what is known of some attempts.

        Args:
            attempt_ids: only these; none means all.
            include_ended: also those that have ended and are remembered.

        Raises:
            GatewayUnavailable: no answer.
        """
        request = calls_pb2.ListCallsRequest(attempt_ids=attempt_ids, include_ended=include_ended)
        response = await self._list(request)
        now_ms = response.now.ToMilliseconds() if response.HasField("now") else None
        return CallList(
            tuple(response.calls), response.ready_to_dial, response.not_ready_reason, now_ms
        )

    async def inbound_since(self, since_ms: int) -> list[calls_pb2.Call]:
        """List inbound calls that are live or ended at this moment or later.

        Raises:
            GatewayUnavailable: no answer.
        """
        request = calls_pb2.ListCallsRequest(
            include_ended=True,
            ended_since=timestamp_of(since_ms),
            direction=calls_pb2.DIRECTION_INBOUND,
        )
        return list((await self._list(request)).calls)

    async def _list(self, request: calls_pb2.ListCallsRequest) -> calls_pb2.ListCallsResponse:
        try:
            return await self._stub.ListCalls(request, timeout=_ASK_TIMEOUT_S)
        except aio.AioRpcError as error:
            raise GatewayUnavailable(error.code().name) from error

    async def hang_up(self, attempt_id: str, reason: str, *, unless_answered: bool = False) -> bool:
        """End a call, on request only if nobody answered; False when the attempt is not known.

        Raises:
            GatewayUnavailable: no answer.
        """
        request = calls_pb2.HangUpRequest(
            attempt_id=attempt_id, reason=reason, unless_answered=unless_answered
        )
        try:
            await self._stub.HangUp(request, timeout=_ASK_TIMEOUT_S)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return False
            raise GatewayUnavailable(error.code().name) from error
        return True

    async def watch(self, after: Position) -> AsyncIterator[calls_pb2.WatchCallsResponse]:
        """Give every change of every call after a position, without end.

        Raises:
            GatewayUnavailable: the stream ended; watch again from the last position.
        """
        request = calls_pb2.WatchCallsRequest(epoch=after.epoch, after_sequence=after.sequence)
        try:
            async for message in self._stub.WatchCalls(request):
                yield message
        except aio.AioRpcError as error:
            raise GatewayUnavailable(error.code().name) from error
        raise GatewayUnavailable("the stream ended")
