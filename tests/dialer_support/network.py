"""A gateway with a phone network behind it: calls leave, ring and end by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from dialer.limits import ORIGINATE_MARGIN_MS
from dialer_support.gateway import Context, FakeGateway, Habit
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2

_Ending: TypeAlias = tuple[
    calls_pb2.Result.ValueType,
    calls_pb2.Disposition.ValueType,
    tuple[intent_pb2.Intent.ValueType, ...],
]
_ENDINGS: tuple[_Ending, ...] = (
    (calls_pb2.RESULT_MISSED, calls_pb2.DISPOSITION_BUSY, ()),
    (calls_pb2.RESULT_MISSED, calls_pb2.DISPOSITION_NO_ANSWER, ()),
    (calls_pb2.RESULT_MISSED, calls_pb2.DISPOSITION_UNREACHABLE, ()),
    (calls_pb2.RESULT_FAILED, calls_pb2.DISPOSITION_CONGESTION, ()),
    (calls_pb2.RESULT_HANGUP, calls_pb2.DISPOSITION_ANSWERED, ()),
    (calls_pb2.RESULT_CONNECTED_TO_OPERATOR, calls_pb2.DISPOSITION_ANSWERED, ()),
)
_OPT_OUT: _Ending = (
    calls_pb2.RESULT_NOT_INTERESTED,
    calls_pb2.DISPOSITION_ANSWERED,
    (intent_pb2.INTENT_DO_NOT_CALL,),
)
_TOO_LATE = (grpc.StatusCode.FAILED_PRECONDITION, "asked too late")


@dataclass(frozen=True)
class Manners:
    """How gateway and network behave.

    Attributes:
        habits: what becomes of requests, and in what proportion.
        held: share of requests that lie for a while before they are looked at.
        held_s: how long they lie: shortest and longest, seconds.
        late: share of answers that come after the dialer gave up waiting.
        opt_outs: share of calls in which the person wants no more calls.
        phase_s: how long ringing, and talking, may take: shortest and longest, seconds.
    """

    habits: tuple[tuple[Habit, int], ...] = ((Habit.PLACE, 1),)
    held: float = 0.0
    held_s: tuple[float, float] = (0.0, 1.5)
    late: float = 0.0
    late_s: float = 6.0
    opt_outs: float = 0.0
    phase_s: tuple[float, float] = (0.2, 1.0)


@dataclass
class Originate:
    """One call as the trunk saw it.

    Attributes:
        asker: caller ID of the request, which tells dialers apart.
        at_s: when it appeared on the trunk, Unix seconds.
        ended_s: when it ended, Unix seconds; None while it lives.
    """

    attempt_id: str
    line: str
    number: str
    asker: str
    at_s: float
    ended_s: float | None = None
    result: calls_pb2.Result.ValueType = calls_pb2.RESULT_UNSPECIFIED
    disposition: calls_pb2.Disposition.ValueType = calls_pb2.DISPOSITION_UNSPECIFIED
    opted_out: bool = False


class NetworkGateway(FakeGateway):
    """Takes calls by its manners, and keeps its own record of what left and when.

    Attributes:
        manners: how it behaves from now on.
        holding: how many requests lie unlooked at.
        originates: every call that left, by attempt.
    """

    def __init__(self, group: asyncio.TaskGroup, dice: random.Random, manners: Manners) -> None:
        super().__init__()
        self._group = group
        self._dice = dice
        self.manners = manners
        self.holding = 0
        self._hang_ups: dict[str, asyncio.Event] = {}
        self.originates: dict[str, Originate] = {}

    async def PlaceCall(  # noqa: N802 - the contract's name
        self, request: calls_pb2.PlaceCallRequest, context: Context
    ) -> calls_pb2.PlaceCallResponse:
        """Take a call, unless it is asked for too late; the answer may come too late as well."""
        if self._dice.random() < self.manners.held:
            await self._hold()
        if _is_too_late(request):
            self.requests.append(request)
            await context.abort(*_TOO_LATE)
        response = await super().PlaceCall(request, context)
        if self._dice.random() < self.manners.late:
            await asyncio.sleep(self.manners.late_s)
        return response

    async def HangUp(  # noqa: N802 - the contract's name
        self, request: calls_pb2.HangUpRequest, context: Context
    ) -> calls_pb2.HangUpResponse:
        """End a call, unless it was answered and only unanswered ones are meant."""
        response = await super().HangUp(request, context)
        state = self.calls[request.attempt_id].state
        if not (request.unless_answered and state >= calls_pb2.CALL_STATE_ANSWERED):
            self._hang_ups[request.attempt_id].set()
        return response

    async def ListCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.ListCallsRequest, context: Context
    ) -> calls_pb2.ListCallsResponse:
        """List calls, and tell the time: this gateway lives by the real clock."""
        response = await super().ListCalls(request, context)
        response.now.GetCurrentTime()
        return response

    def habit_for(self, _request: calls_pb2.PlaceCallRequest) -> Habit:
        """Draw what becomes of this request."""
        habits, weights = zip(*self.manners.habits, strict=True)
        return Habit(self._dice.choices(habits, weights)[0])

    def dial(self, request: calls_pb2.PlaceCallRequest) -> None:
        """Let the call appear on the trunk, as late as the contract allows, and live."""
        call = Originate(
            request.attempt_id,
            request.line,
            request.contact.number,
            request.caller_id,
            time.time() + self._dice.uniform(0, ORIGINATE_MARGIN_MS / 1000),
        )
        self.originates[call.attempt_id] = call
        self._hang_ups[call.attempt_id] = asyncio.Event()
        self._group.create_task(self._live(call))

    async def _hold(self) -> None:
        self.holding += 1
        try:
            await asyncio.sleep(self._dice.uniform(*self.manners.held_s))
        finally:
            self.holding -= 1

    async def _live(self, call: Originate) -> None:
        await asyncio.sleep(max(0.0, call.at_s - time.time()))
        ending = self._dice.choice(_ENDINGS)
        if self._dice.random() < self.manners.opt_outs:
            ending = _OPT_OUT
        self.change(call.attempt_id, calls_pb2.CALL_STATE_RINGING)
        hung_up = await self._hung_up(call)
        if not hung_up and ending[1] == calls_pb2.DISPOSITION_ANSWERED:
            self.change(call.attempt_id, calls_pb2.CALL_STATE_ANSWERED)
            hung_up = await self._hung_up(call)
        if hung_up:
            ending = (calls_pb2.RESULT_FAILED, calls_pb2.DISPOSITION_CANCELLED, ())
        call.result, call.disposition, intents = ending
        call.opted_out = bool(intents)
        call.ended_s = time.time()
        self.end(call.attempt_id, call.result, call.disposition, *intents)

    async def _hung_up(self, call: Originate) -> bool:
        """Let a phase of the call pass; say whether we hung up in it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._dice.uniform(*self.manners.phase_s)):
                await self._hang_ups[call.attempt_id].wait()
                return True
        return False


def _is_too_late(request: calls_pb2.PlaceCallRequest) -> bool:
    before_s = request.originate_before.ToMilliseconds() / 1000
    return request.HasField("originate_before") and time.time() >= before_s


@contextlib.asynccontextmanager
async def open_network(dice: random.Random, manners: Manners) -> AsyncIterator[NetworkGateway]:
    """Give a gateway and its network; the end of the block waits for the last call."""
    async with asyncio.TaskGroup() as group:
        yield NetworkGateway(group, dice, manners)
