"""The outside world: a gateway that may be lost or restarted, Asterisk, and people with phones."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence

from dialer.errors import GatewayRefused, GatewayUnavailable, RequestRejected
from dialer.gateway import CallList, Gateway
from dialer.moments import now_ms
from salehi.calls.v1 import calls_pb2
from salehi.calls.v1.calls_pb2 import Call, CallState, Outcome, PlaceCallRequest
from salehi.intent.v1.intent_pb2 import Intent
from simulation.agenda import Agenda
from simulation.calls import HUNG_UP, RESTARTED, TIMEOUT_MS, TOO_LATE, End, Errand, Fate
from simulation.judge import Judge
from support.timing import HandClock

_OLD_NEWS = 20


class Network:
    """Gateway, Asterisk and trunk in one; tells the judge whatever leaves, ends and is reported.

    Attributes:
        live: calls on record that have not ended, by id.
        on_left: told of every call that appears on the trunk.
    """

    def __init__(self, agenda: Agenda, judge: Judge, clock: HandClock) -> None:
        self._agenda = agenda
        self._judge = judge
        self._clock = clock
        self._errands: dict[str, Errand] = {}
        self._answers: set[asyncio.Future[Call]] = set()
        self._ended: dict[str, Call] = {}
        self._on_trunk: set[str] = set()
        self._up_at_ms = 0
        self._adopted_at_ms = 0
        self._rung_in = 0
        self.live: dict[str, Call] = {}
        self.on_left: Callable[[str], None] = lambda _call_id: None
        self._news: list[Call] = []
        self._old_news = deque[Call](maxlen=_OLD_NEWS)

    @property
    def requests_waiting(self) -> int:
        """How many requests for calls wait for their answer."""
        return len(self._answers)

    @property
    def is_up(self) -> bool:
        """Whether the gateway answers."""
        return now_ms(self._clock) >= self._up_at_ms

    @property
    def is_settled(self) -> bool:
        """Whether the gateway answers, and has taken up its calls."""
        return now_ms(self._clock) >= self._adopted_at_ms

    def expect(self, attempt_id: str, errand: Errand) -> None:
        """Say how the request for an attempt will travel."""
        self._errands[attempt_id] = errand

    async def place(self, request: PlaceCallRequest) -> Call:
        """Take a request for a call along its errand, and give the answer that comes back."""
        self._judge.asked(request.attempt_id)
        self.check_up()
        errand = self._errands.pop(request.attempt_id)
        answer: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._answers.add(answer)
        if errand.fate is not Fate.LOST:
            self._agenda.after(errand.journey_ms, lambda: self._arrive(request, errand, answer))
        self._agenda.after(TIMEOUT_MS, lambda: self._fail(answer, GatewayUnavailable("deadline")))
        try:
            return await answer
        finally:
            self._answers.discard(answer)

    def list_calls(self, attempt_ids: Sequence[str], *, include_ended: bool) -> CallList:
        """List what the gateway knows; just after a restart it has not taken up its calls yet."""
        self.check_up()
        live = self.live if self.is_settled else {}
        if not attempt_ids:
            return CallList(tuple(live.values()), ready_to_dial=True, not_ready_reason="")
        known = [live[key] for key in attempt_ids if key in live]
        if include_ended:
            known += [self._ended[key] for key in attempt_ids if key in self._ended]
        return CallList(tuple(known), ready_to_dial=True, not_ready_reason="")

    def hang_up(self, attempt_id: str, *, unless_answered: bool) -> bool:
        """End a call if it is known."""
        self.check_up()
        if not self.is_settled or attempt_id not in self.live:
            return attempt_id in self._ended
        if not unless_answered or self.live[attempt_id].state != CallState.CALL_STATE_ANSWERED:
            self.end(attempt_id, HUNG_UP)
        return True

    @property
    def has_news(self) -> bool:
        """Whether a call changed, and nobody was told."""
        return bool(self._news)

    def take_news(self, again: int, *, brief: bool) -> list[Call]:
        """Take the changes that nobody was told of, after so many that somebody was.

        Args:
            again: how many known ones come first.
            brief: leave out what a later change of the same call has overtaken.
        """
        old = list(self._old_news)
        fresh = self._news
        if brief:
            fresh = list({call.attempt_id: call for call in fresh}.values())
        news = [*old[max(0, len(old) - again) :], *fresh]
        self._old_news.extend(self._news)
        self._news = []
        return news

    def give_back(self, news: list[Call]) -> None:
        """Keep changes that were not taken in after all."""
        self._news = [*news, *self._news]

    def lose_news(self) -> None:
        """Nobody will be told of what changed."""
        self._news.clear()

    def answer(self, attempt_id: str) -> None:
        """Let the customer pick up."""
        self._change(attempt_id, CallState.CALL_STATE_ANSWERED)

    def end(self, attempt_id: str, end: End) -> None:
        """End a call, and report its result."""
        call = self._change(attempt_id, CallState.CALL_STATE_ENDED)
        call.outcome.CopyFrom(
            Outcome(result=end.result, disposition=end.disposition, reason=end.reason)
        )
        if end.opted_out:
            call.outcome.turns.add(intent=Intent.INTENT_DO_NOT_CALL)
        self._ended[attempt_id] = self.live.pop(attempt_id)
        self._on_trunk.discard(attempt_id)
        self._judge.ended(call)

    def ring_in(self, line: str, number: str) -> str:
        """Let somebody call one of our lines; give the call's id."""
        self._rung_in += 1
        call_id = str(uuid.UUID(int=self._rung_in))
        self.live[call_id] = Call(
            attempt_id=call_id,
            direction=calls_pb2.DIRECTION_INBOUND,
            line=line,
            contact=calls_pb2.Contact(source="inbound", number=number),
        )
        self._on_trunk.add(call_id)
        self._change(call_id, CallState.CALL_STATE_ANSWERED)
        return call_id

    def on_trunk(self) -> list[str]:
        """Give the calls that are on the trunk, oldest first."""
        return [call_id for call_id in self.live if call_id in self._on_trunk]

    def restart_gateway(self, down_ms: int, adoption_ms: int) -> None:
        """Kill the gateway; when it is back it takes a moment to find the calls it had."""
        self._up_at_ms = now_ms(self._clock) + down_ms
        self._adopted_at_ms = self._up_at_ms + adoption_ms
        self._news.clear()
        self._old_news.clear()
        for attempt_id in [key for key in self.live if key not in self._on_trunk]:
            del self.live[attempt_id]  # on record, not dialled: it never will be
        for answer in list(self._answers):
            self._fail(answer, GatewayUnavailable("connection reset"))

    def restart_asterisk(self) -> None:
        """End every call on the trunk."""
        for call_id in self.on_trunk():
            self.end(call_id, RESTARTED)

    def check_up(self) -> None:
        """Insist on a gateway that answers.

        Raises:
            GatewayUnavailable: it is down.
        """
        if not self.is_up:
            raise GatewayUnavailable("connection refused")

    def _arrive(
        self, request: PlaceCallRequest, errand: Errand, answer: asyncio.Future[Call]
    ) -> None:
        if not self.is_up:
            self._fail(answer, GatewayUnavailable("connection refused"))
        elif errand.fate is Fate.REFUSED or self._is_too_late(request):
            refusal = GatewayRefused("not now")
            self._agenda.after(errand.answer_ms, lambda: self._fail(answer, refusal))
        elif errand.fate is Fate.REJECTED:
            rejection = RequestRejected("never")
            self._agenda.after(errand.answer_ms, lambda: self._fail(answer, rejection))
        else:
            self._record(request, errand, answer)

    def _record(
        self, request: PlaceCallRequest, errand: Errand, answer: asyncio.Future[Call]
    ) -> None:
        call = Call(
            attempt_id=request.attempt_id,
            direction=calls_pb2.DIRECTION_OUTBOUND,
            line=request.line,
            contact=request.contact,
        )
        self.live[call.attempt_id] = call
        self._change(call.attempt_id, CallState.CALL_STATE_DIALING)
        self._agenda.after(errand.originate_ms, lambda: self._originate(request, errand))
        if errand.fate is Fate.PLACED:
            self._agenda.after(errand.answer_ms, lambda: self._succeed(answer, call))

    def _originate(self, request: PlaceCallRequest, errand: Errand) -> None:
        """Ask Asterisk for the call, unless it was ended, forgotten, or it is too late."""
        if request.attempt_id not in self.live:
            return
        if self._is_too_late(request):
            self.end(request.attempt_id, TOO_LATE)
            return
        self._on_trunk.add(request.attempt_id)
        self.live[request.attempt_id].originated_at.FromMilliseconds(now_ms(self._clock))
        self._change(request.attempt_id, CallState.CALL_STATE_DIALING)
        self._agenda.after(errand.appear_ms, lambda: self._appear(request))

    def _appear(self, request: PlaceCallRequest) -> None:
        if request.attempt_id in self.live:
            self._judge.left(request)
            self.on_left(request.attempt_id)

    def _is_too_late(self, request: PlaceCallRequest) -> bool:
        limit = request.originate_before
        return (
            request.HasField("originate_before") and now_ms(self._clock) >= limit.ToMilliseconds()
        )

    def _change(self, call_id: str, state: CallState.ValueType) -> Call:
        """Change a call's state; what was said of it before stays as it was said."""
        call = Call()
        call.CopyFrom(self.live[call_id])
        call.state = state
        self.live[call_id] = call
        if self.is_settled:
            self._news.append(call)
        return call

    def _succeed(self, answer: asyncio.Future[Call], call: Call) -> None:
        if not answer.done():
            self._answers.discard(answer)
            answer.set_result(call)

    def _fail(self, answer: asyncio.Future[Call], error: Exception) -> None:
        if not answer.done():
            self._answers.discard(answer)
            answer.set_exception(error)


class Door(Gateway):
    """The network as the dialer's code meets it, in the place of the gRPC adapter."""

    def __init__(self, network: Network) -> None:  # no channel: nothing travels outside
        self.address = "simulated"
        self._network = network

    async def connected(self) -> None:
        """Be there."""

    async def place(self, request: PlaceCallRequest) -> Call:
        """Ask for one call."""
        return await self._network.place(request)

    async def list_calls(
        self, attempt_ids: Sequence[str] = (), *, include_ended: bool = False
    ) -> CallList:
        """List calls."""
        return self._network.list_calls(attempt_ids, include_ended=include_ended)

    async def hang_up(
        self,
        attempt_id: str,
        reason: str,  # noqa: ARG002 - the adapter's signature
        *,
        unless_answered: bool = False,
    ) -> bool:
        """End a call."""
        return self._network.hang_up(attempt_id, unless_answered=unless_answered)
