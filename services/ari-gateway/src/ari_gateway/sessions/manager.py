"""Owns the live calls: starts them, routes events to them, keeps their record, ends them.

It knows nothing of what a call says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from opentelemetry import trace

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriError
from ari_gateway.scenarios.registry import DEFAULT, SCENARIOS
from ari_gateway.sessions.admission import Admission, AtCapacity, NotReady, refuse_when_late
from ari_gateway.sessions.call import Call, Tools
from ari_gateway.sessions.conversation import lead
from ari_gateway.sessions.counting import LiveCounts, count_ended
from ari_gateway.sessions.endings import EndedOnRequest
from ari_gateway.sessions.feed import CallFeed
from ari_gateway.sessions.handover import attempt_of_channel
from ari_gateway.sessions.keeping import CallKeeper
from ari_gateway.sessions.ledger import AlreadyOnRecord, Ledger
from ari_gateway.sessions.live import Listeners, LiveCall
from ari_gateway.sessions.plan import CallPlan, inbound_plan
from ari_gateway.sessions.saved import SavedCall
from ari_gateway.wire import call_message
from salehi.calls.v1 import calls_pb2
from servicekit.storage import StoreUnavailable
from servicekit.tracing import going_on

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)


@dataclass(frozen=True)
class Placed:
    """What became of a request for a call."""

    call: calls_pb2.Call
    already_known: bool


class SessionManager:
    """All live calls of this gateway."""

    def __init__(
        self,
        *,
        tools: Tools,
        ledger: Ledger,
        admission: Admission,
        ended: Callable[[calls_pb2.Call], None],
    ) -> None:
        """Make an empty house.

        Args:
            tools: what calls work with.
            ledger: where calls are on record.
            admission: says whether a call may begin.
            ended: gets each call whose result is on record and waits to be reported.
        """
        self._tools = tools
        self._ledger = ledger
        self._admission = admission
        self.ended = ended
        self._keeper = CallKeeper(ledger, ended)
        self._counts = LiveCounts()
        self._calls: dict[str, LiveCall] = {}
        self._attempt_of_channel: dict[str, str] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.prompt_failed: Callable[[], None] = lambda: None
        self.feed = CallFeed(self.live_calls)

    async def run(self, stop: asyncio.Event) -> None:
        """Own every call's task until `stop` is set and the last call is over."""
        async with asyncio.TaskGroup() as publisher_tasks:
            helpers = [
                publisher_tasks.create_task(self.feed.run()),
                publisher_tasks.create_task(self._keeper.run()),
            ]
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await stop.wait()
                self._admission.close()
            self._tasks = None
            for helper in helpers:
                helper.cancel()

    # requests

    async def place(self, plan: CallPlan) -> Placed:
        """Put a call on record and begin to dial; a repeat of its attempt changes nothing.

        Raises:
            NotReady: nothing may be dialled now, or it is too late for this call.
            AtCapacity: no room for another call, here or at a peer.
            StoreUnavailable: it cannot be put on record, so it is not dialled.
        """
        live = self._calls.get(plan.attempt_id)
        repeated = live is not None
        if live is None:
            try:
                live = self._admit(plan)
            except (NotReady, AtCapacity):
                known = await self.find(plan.attempt_id)
                if known is None:
                    raise
                return Placed(known, already_known=True)
        try:
            await self._keeper.until_begun(live)
        except AlreadyOnRecord:
            (known,) = await self._ledger.find([plan.attempt_id])
            return Placed(known, already_known=True)
        return Placed(call_message(live), already_known=repeated)

    def _admit(self, plan: CallPlan) -> LiveCall:
        """Take a call in and begin it; from this moment its place is taken and a repeat finds it.

        Raises:
            NotReady, AtCapacity: as `place`.
        """
        refuse_when_late(plan.originate_before, self._tools.clock.now())
        tasks = self._owner()
        self._admission.let_outbound_in(len(self._calls))
        live = self._register(SavedCall(plan))
        self._keeper.expect(live)
        tasks.create_task(self._begin(live))
        return live

    def resume(self, saved: SavedCall, fit: Callable[[LiveCall], None]) -> None:
        """Go on with a call that another gateway led; `fit` brings its legs up to date first.

        Raises:
            NotReady: the gateway is starting.
        """
        tasks = self._owner()
        plan = saved.plan
        if plan.attempt_id in self._calls:
            return
        live = self._register(saved, taken_over=True)
        with going_on(plan.traceparent, plan.attempt_id), tracer.start_as_current_span("take over"):
            fit(live)
        tasks.create_task(self._lead(live))

    async def find(self, attempt_id: str) -> calls_pb2.Call | None:
        """Give an attempt's call as it stands, live or remembered; None when it is not known."""
        live = self._calls.get(attempt_id)
        if live is not None:
            return call_message(live)
        return next(iter(await self._ledger.find([attempt_id])), None)

    def hang_up(self, attempt_id: str, reason: str, *, unless_answered: bool = False) -> bool:
        """End a live call, on request only if nobody answered; False when it is not live."""
        live = self._calls.get(attempt_id)
        if live is None:
            return False
        if not (unless_answered and live.record.answered_at is not None):
            live.end(EndedOnRequest(reason, technical=False))
        return True

    def hang_up_all(self, reason: str) -> None:
        """End every live call."""
        for attempt_id in list(self._calls):
            self.hang_up(attempt_id, reason)

    def abandon_all(self) -> None:
        """Leave every live call as it is to another gateway: nothing is ended or reported."""
        for live in self.live:
            live.abandoned = True

    def live_calls(self) -> list[calls_pb2.Call]:
        """Give every live call, oldest first; not those whose end is just being put on record."""
        return [call_message(live) for live in self._calls.values() if not live.record.verdict]

    def why_no_outbound(self) -> str:
        """Say why an outbound call would be refused now; empty when it would not."""
        return self._admission.why_no_outbound(len(self._calls))

    @property
    def live(self) -> list[LiveCall]:
        """The live calls themselves."""
        return list(self._calls.values())

    # events

    def handle(self, event: ev.Event) -> None:
        """Tell a call what happened to it; begin a call for a new inbound channel."""
        live = self._call_of(event.channel_id)
        if live is not None:
            live.apply(event)
        elif isinstance(event, ev.StasisStart):
            self._stranger(event)

    def _call_of(self, channel_id: str) -> LiveCall | None:
        attempt_id = self._attempt_of_channel.get(channel_id)
        if attempt_id is None:
            attempt_id = attempt_of_channel(channel_id)
        return self._calls.get(attempt_id)

    def _stranger(self, event: ev.StasisStart) -> None:
        """A channel nobody waits for: an inbound call, or a leg of a call that is over."""
        tasks = self._tasks
        if tasks is None:
            log.warning("a call came before the start or after the end")
            return
        if event.args[:1] in (("outbound",), ("operator",)):
            tasks.create_task(self._turn_away(event.channel_id))
            return
        try:
            self._admission.let_inbound_in(len(self._calls))
        except (NotReady, AtCapacity) as refusal:
            log.warning("an inbound call was refused", reason=str(refusal))
            tasks.create_task(self._turn_away(event.channel_id))
            return
        # At once: the next one finds the room taken.
        plan = inbound_plan(event.channel_id, event.caller_number, event.dialled)
        live = self._register(SavedCall(plan))
        tasks.create_task(self._welcome(live))

    async def _welcome(self, live: LiveCall) -> None:
        if not await self._begin(live):
            await self._turn_away(live.plan.channel_id)

    async def _turn_away(self, channel_id: str) -> None:
        try:
            await self._tools.ari.hang_up(channel_id, reason="busy")
        except AriError as error:
            log.warning("a channel could not be turned away", reason=type(error).__name__)

    # the life of a call

    def _owner(self) -> asyncio.TaskGroup:
        if self._tasks is None:
            raise NotReady("the gateway is starting")
        return self._tasks

    def _register(self, saved: SavedCall, *, taken_over: bool = False) -> LiveCall:
        live = LiveCall(
            saved,
            Listeners(self._changed, self._keeper.changed),
            self._tools.dispositions,
            taken_over=taken_over,
            talk_silence_ms=self._tools.listening.patience.shortest_ms,
        )
        self._counts.begins(live.plan)
        self._calls[live.plan.attempt_id] = live
        self._attempt_of_channel[live.plan.channel_id] = live.plan.attempt_id
        return live

    def _unregister(self, live: LiveCall) -> None:
        del self._calls[live.plan.attempt_id]
        del self._attempt_of_channel[live.plan.channel_id]
        self._counts.is_gone(live.plan)

    async def _begin(self, live: LiveCall) -> bool:
        """Put a call on record and lead it to its end; False: there is no record, so no call."""
        try:
            await self._keeper.begin(live)
        except (StoreUnavailable, AlreadyOnRecord) as error:
            log.warning(
                "a call could not be put on record",
                attempt_id=live.plan.attempt_id,
                reason=type(error).__name__,
            )
            self._unregister(live)
            return False
        self._changed(live)
        await self._lead(live)
        return True

    async def _lead(self, live: LiveCall) -> None:
        with going_on(live.plan.traceparent, live.plan.attempt_id):
            call = Call(live, self._tools)
            await lead(call, SCENARIOS.get(live.plan.scenario, SCENARIOS[DEFAULT]))
            await self._finish(live)

    async def _finish(self, live: LiveCall) -> None:
        await self._keeper.end(live)
        self._unregister(live)
        count_ended(live)
        self.feed.publish(call_message(live))
        if live.record.failure and live.record.failure.reason == "prompt_missing":
            self.prompt_failed()

    def _changed(self, live: LiveCall) -> None:
        self._keeper.changed(live)
        self.feed.publish(call_message(live))
