"""A dialer that speaks the real contract and keeps pauses in memory."""

from __future__ import annotations

from typing import Any

import grpc

from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc


class FakeDialer(dialer_pb2_grpc.DialerServiceServicer):
    """Pauses and tells of its pauses; `away` makes it answer UNAVAILABLE."""

    def __init__(self) -> None:
        self.away = False
        self.pauses: dict[int, str] = {}
        self.pause_requests: list[dialer_pb2.PauseRequest] = []
        self.resume_requests: list[dialer_pb2.ResumeRequest] = []
        self.status_requests = 0

    async def Pause(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.PauseRequest, context: Any
    ) -> dialer_pb2.PauseResponse:
        """Hold dialing back."""
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.pause_requests.append(request)
        self.pauses[request.kind] = request.reason
        return dialer_pb2.PauseResponse()

    async def Resume(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.ResumeRequest, context: Any
    ) -> dialer_pb2.ResumeResponse:
        """Lift a pause, or grant trial calls under it."""
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.resume_requests.append(request)
        if not request.trial_calls:
            self.pauses.pop(request.kind, None)
        return dialer_pb2.ResumeResponse()

    @property
    def trials(self) -> int:
        """How often a trial call was granted."""
        return sum(request.trial_calls for request in self.resume_requests)

    async def GetStatus(  # noqa: N802 - the contract's name
        self, _request: dialer_pb2.GetStatusRequest, context: Any
    ) -> dialer_pb2.GetStatusResponse:
        """Tell of the pauses."""
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.status_requests += 1
        pauses = [
            dialer_pb2.PauseReason(kind=kind, reason=reason)  # type: ignore[arg-type] # kinds are ints here
            for kind, reason in self.pauses.items()
        ]
        return dialer_pb2.GetStatusResponse(paused=bool(pauses), pauses=pauses)
