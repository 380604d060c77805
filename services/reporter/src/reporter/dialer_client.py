"""The reporter's view of the dialer: hold dialing back, try one call, let go again."""

from __future__ import annotations

from typing import Protocol

from grpc import aio

from reporter.errors import DialerUnavailable
from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from servicekit.channel import Peer

SERVICE = "salehi.dialer.v1.DialerService"
IDEMPOTENT = ("Pause", "Resume", "GetStatus")
_WHO = "reporter"
_DEADLINE_S = 5.0
_REASON_LENGTH = 500


class DialingSwitch(Protocol):
    """The breaker's hand on the campaign. Every method may raise DialerUnavailable."""

    async def pause(self, reason: str) -> None:
        """Hold dialing back; returns once the dialer has stored it."""
        ...

    async def is_held(self) -> bool:
        """Tell whether the breaker's pause is still in force."""
        ...

    async def grant_trial(self) -> None:
        """Let one call be dialled in spite of the breaker's pause."""
        ...

    async def resume(self) -> None:
        """Lift the breaker's pause; others stay."""
        ...


class GrpcDialer:
    """The dialer service."""

    def __init__(self, peer: Peer) -> None:
        self._stub: dialer_pb2_grpc.DialerServiceAsyncStub = dialer_pb2_grpc.DialerServiceStub(
            peer.channel
        )

    async def pause(self, reason: str) -> None:
        """Hold dialing back under the breaker's name."""
        request = dialer_pb2.PauseRequest(
            reason=reason[:_REASON_LENGTH], by=_WHO, kind=dialer_pb2.PAUSE_KIND_BREAKER
        )
        try:
            await self._stub.Pause(request, timeout=_DEADLINE_S)
        except aio.AioRpcError as error:
            raise DialerUnavailable(_status_name(error)) from error

    async def is_held(self) -> bool:
        """Look for the breaker's pause among those in force."""
        try:
            status = await self._stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=_DEADLINE_S)
        except aio.AioRpcError as error:
            raise DialerUnavailable(_status_name(error)) from error
        return any(pause.kind == dialer_pb2.PAUSE_KIND_BREAKER for pause in status.pauses)

    async def grant_trial(self) -> None:
        """Leave the pause in force but for one call."""
        await self._resume(trial_calls=1)

    async def resume(self) -> None:
        """Lift the breaker's pause."""
        await self._resume(trial_calls=0)

    async def _resume(self, *, trial_calls: int) -> None:
        request = dialer_pb2.ResumeRequest(
            kind=dialer_pb2.PAUSE_KIND_BREAKER, by=_WHO, trial_calls=trial_calls
        )
        try:
            await self._stub.Resume(request, timeout=_DEADLINE_S)
        except aio.AioRpcError as error:
            raise DialerUnavailable(_status_name(error)) from error


def _status_name(error: aio.AioRpcError) -> str:
    return str(error.code().name)
