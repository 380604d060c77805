"""An ari-gateway that speaks the real contract over real gRPC and calls nobody."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc import aio

from dialer.gateway import SERVICE
from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from salehi.intent.v1 import intent_pb2
from servicekit.server import GrpcServer, GrpcService

Context = aio.ServicerContext[Any, Any]


class Habit(enum.Enum):
    """What becomes of a request for a call."""

    PLACE = "place"
    REFUSE = "refuse"
    NOT_READY = "not ready"
    REJECT = "reject"
    LOSE_ANSWER = "dial, but lose the answer"
    LOSE_REQUEST = "lose the request"


_REFUSALS = {
    Habit.REFUSE: (grpc.StatusCode.RESOURCE_EXHAUSTED, "no capacity"),
    Habit.NOT_READY: (grpc.StatusCode.FAILED_PRECONDITION, "Asterisk is away"),
    Habit.REJECT: (grpc.StatusCode.INVALID_ARGUMENT, "malformed endpoint"),
    Habit.LOSE_REQUEST: (grpc.StatusCode.UNAVAILABLE, "connection reset"),
}


class FakeGateway(calls_pb2_grpc.CallServiceServicer):
    """Keeps calls in memory; `habit` decides what PlaceCall does."""

    def __init__(self) -> None:
        self.habit = Habit.PLACE
        self.obstacle = ""
        self.requests: list[calls_pb2.PlaceCallRequest] = []
        self.hung_up: list[str] = []
        self.calls: dict[str, calls_pb2.Call] = {}
        self.listed = 0
        self.watches: list[tuple[str, int]] = []
        self.restart()

    def restart(self, *, forget: bool = False) -> None:
        """Begin a new epoch; with `forget` nothing is known of any call."""
        self._epoch = str(uuid.uuid4())
        self._news: list[calls_pb2.WatchCallsResponse] = []
        self._changed = asyncio.Event()
        if forget:
            self.calls.clear()

    async def PlaceCall(  # noqa: N802 - the contract's name
        self, request: calls_pb2.PlaceCallRequest, context: Context
    ) -> calls_pb2.PlaceCallResponse:
        """Do as the habit says."""
        self.requests.append(request)
        habit = self.habit_for(request)
        if habit in _REFUSALS:
            await context.abort(*_REFUSALS[habit])
        known = request.attempt_id in self.calls
        if not known:
            self._put(
                calls_pb2.Call(
                    attempt_id=request.attempt_id,
                    direction=calls_pb2.DIRECTION_OUTBOUND,
                    state=calls_pb2.CALL_STATE_DIALING,
                    line=request.line,
                    contact=request.contact,
                )
            )
            self.dial(request)
            self.calls[request.attempt_id].originated_at.GetCurrentTime()
            self._put(self.calls[request.attempt_id])
        if habit is Habit.LOSE_ANSWER:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        return calls_pb2.PlaceCallResponse(call=self.calls[request.attempt_id], already_known=known)

    def habit_for(self, _request: calls_pb2.PlaceCallRequest) -> Habit:
        """Say what becomes of this request."""
        return self.habit

    def dial(self, request: calls_pb2.PlaceCallRequest) -> None:
        """Do what comes after a call is on record: nothing, nobody is called here."""

    async def HangUp(  # noqa: N802 - the contract's name
        self, request: calls_pb2.HangUpRequest, context: Context
    ) -> calls_pb2.HangUpResponse:
        """End a call that is known."""
        if request.attempt_id not in self.calls:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not known here")
        self.hung_up.append(request.attempt_id)
        return calls_pb2.HangUpResponse()

    async def ListCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.ListCallsRequest, _context: Context
    ) -> calls_pb2.ListCallsResponse:
        """List calls."""
        self.listed += 1
        wanted = set(request.attempt_ids)
        calls = [
            call
            for call in self.calls.values()
            if (not wanted or call.attempt_id in wanted) and _is_asked_for(call, request)
        ]
        return calls_pb2.ListCallsResponse(
            calls=calls, ready_to_dial=not self.obstacle, not_ready_reason=self.obstacle
        )

    async def WatchCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.WatchCallsRequest, _context: Context
    ) -> AsyncIterator[calls_pb2.WatchCallsResponse]:
        """Stream changes, after a snapshot unless this epoch is resumed."""
        self.watches.append((request.epoch, request.after_sequence))
        at = request.after_sequence
        if request.epoch != self._epoch:
            at = len(self._news)
            yield calls_pb2.WatchCallsResponse(
                epoch=self._epoch, sequence=at, snapshot=calls_pb2.Snapshot(calls=self.live())
            )
        while True:
            changed = self._changed
            for news in self._news[at:]:
                yield news
                at += 1
            if changed is self._changed:
                await changed.wait()

    def live(self) -> list[calls_pb2.Call]:
        """Give the live calls."""
        return [call for call in self.calls.values() if call.state != calls_pb2.CALL_STATE_ENDED]

    def end(
        self,
        attempt_id: str,
        result: calls_pb2.Result.ValueType = calls_pb2.RESULT_MISSED,
        disposition: calls_pb2.Disposition.ValueType = calls_pb2.DISPOSITION_NO_ANSWER,
        *intents: intent_pb2.Intent.ValueType,
    ) -> None:
        """End a call."""
        call = calls_pb2.Call()
        call.CopyFrom(self.calls[attempt_id])
        call.state = calls_pb2.CALL_STATE_ENDED
        call.ended_at.GetCurrentTime()
        call.outcome.result = result
        call.outcome.disposition = disposition
        call.outcome.turns.extend(calls_pb2.Turn(heard="words", intent=i) for i in intents)
        self._put(call)

    def change(self, attempt_id: str, state: calls_pb2.CallState.ValueType) -> None:
        """Let a call ring or be answered."""
        call = calls_pb2.Call()
        call.CopyFrom(self.calls[attempt_id])
        call.state = state
        self._put(call)

    def ring_in(self, line: str, number: str) -> str:
        """Let a customer call one of our lines; give the call's id."""
        call_id = str(uuid.uuid4())
        self._put(
            calls_pb2.Call(
                attempt_id=call_id,
                direction=calls_pb2.DIRECTION_INBOUND,
                state=calls_pb2.CALL_STATE_ANSWERED,
                line=line,
                contact=calls_pb2.Contact(source="inbound", number=number),
            )
        )
        return call_id

    def _put(self, call: calls_pb2.Call) -> None:
        self.calls[call.attempt_id] = call
        copy = calls_pb2.Call()
        copy.CopyFrom(call)
        self._news.append(
            calls_pb2.WatchCallsResponse(
                epoch=self._epoch, sequence=len(self._news) + 1, changed=copy
            )
        )
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _is_asked_for(call: calls_pb2.Call, request: calls_pb2.ListCallsRequest) -> bool:
    """Say whether a call is alive, or ended and asked for all the same."""
    if call.state != calls_pb2.CALL_STATE_ENDED:
        return True
    since = request.ended_since.ToNanoseconds()
    return request.include_ended and call.ended_at.ToNanoseconds() >= since


@contextlib.asynccontextmanager
async def served(fake: FakeGateway, port: int = 0) -> AsyncIterator[int]:
    """Serve the gateway on loopback; give the port."""
    server = GrpcServer(
        [GrpcService(SERVICE, calls_pb2_grpc.add_CallServiceServicer_to_server, fake)]
    )
    bound = await server.start("127.0.0.1", port, "TEST_PORT")
    try:
        yield bound
    finally:
        await server.drain(0)
