"""One live call: what is known of it, told by events in the order in which they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from ari_gateway.ari import events as ev
from ari_gateway.metrics import LINE_ORIGINATES, POST_DIAL_DELAY_SECONDS
from ari_gateway.sessions.disposition import (
    FINAL_DIAL_STATUSES,
    DialEnd,
    Disposition,
    DispositionTable,
)
from ari_gateway.sessions.endings import CallerHungUp, CallFailed, CallOver, NotAnswered
from ari_gateway.sessions.journal import Journal
from ari_gateway.sessions.legs import Leg, LegState
from ari_gateway.sessions.saved import SavedCall
from ari_gateway.sessions.talk import Talk
from ari_gateway.sessions.waits import Waits

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Listeners:
    """Who hears of a call.

    Attributes:
        changed: it stands elsewhere: rings, answered, with an operator, …
        went_on: it has finished another verb.
    """

    changed: Callable[[LiveCall], None]
    went_on: Callable[[LiveCall], None]


class LiveCall:
    """A call's legs, waits and record.

    Attributes:
        over: how the call ended, or None while it lives.
        dialled: Asterisk has the customer's channel, or had it.
        abandoned: another gateway leads it now; nothing of it may be touched here.
    """

    def __init__(
        self,
        saved: SavedCall,
        listeners: Listeners,
        dispositions: DispositionTable | None = None,
        *,
        taken_over: bool = False,
        talk_silence_ms: int = 0,
    ) -> None:
        """Make a call out of what is saved of it; `taken_over`: another gateway led it before."""
        self.plan = saved.plan
        self.record = saved.record
        self.journal = Journal(
            saved.steps, kept=lambda: listeners.went_on(self), taken_over=taken_over
        )
        self.customer = Leg(self.plan.channel_id, _leg_state(saved))
        self.operator: Leg | None = None
        self.waits = Waits()
        self.talk = Talk()
        self.dialled = self.plan.inbound or taken_over
        self.abandoned = False
        self._listeners = listeners
        self._talk_silence_ms = talk_silence_ms
        self._dispositions = dispositions or DispositionTable()
        self.over: CallOver | None = None
        self._limits: set[asyncio.Timeout] = set()
        self._began_s = self._now_s()
        self._heard_from = False
        self._dial_status = ""

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    def end(self, ending: CallOver) -> None:
        """End the conversation: every verb under way or to come raises `ending`."""
        if self.over is not None:
            return
        self.over = ending
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(self._now_s())

    def has_left(self) -> None:
        """Asterisk has taken the originate."""
        self.dialled, self.record.originated_at = True, datetime.now(UTC)
        LINE_ORIGINATES.labels(self.plan.line).inc()
        self.tell()

    @property
    def saved(self) -> SavedCall:
        """What another gateway would need to go on with this call."""
        return SavedCall(self.plan, self.record, self.journal.steps)

    def tell(self) -> None:
        """Tell that something changed."""
        self._listeners.changed(self)

    async def during_call(self, work: Awaitable[T], timeout_s: float) -> T:
        """Await something while the call lives; it is cancelled when the call ends.

        Raises:
            CallOver: the call ended.
            TimeoutError: it took longer than `timeout_s` seconds.
        """
        if self.over is not None:
            if asyncio.iscoroutine(work):
                work.close()
            raise self.over
        limit = asyncio.timeout(timeout_s)
        self._limits.add(limit)
        try:
            async with limit:
                return await work
        except TimeoutError:
            if self.over is not None:
                raise self.over from None
            raise
        finally:
            self._limits.discard(limit)

    def apply(self, event: ev.Event) -> None:
        """Apply one event; whatever goes wrong in that ends this call and is no other's matter."""
        try:
            self._apply(event)
        except Exception:
            # Supervisor of one call, as `lead` is of what it does.
            log.exception("an event was too much", attempt_id=self.plan.attempt_id)
            self.end(CallFailed("internal_error", technical=True))

    def _apply(self, event: ev.Event) -> None:
        match event:
            case ev.PlaybackStarted():
                self.waits.resolve("playing", event.playback_id, self._now_s())
            case ev.PlaybackFinished():
                self.played(event.playback_id, well=not event.failed)
            case ev.RecordingFinished() | ev.RecordingFailed():
                stored = isinstance(event, ev.RecordingFinished)
                self.waits.resolve("recorded", event.name, stored)
            case _ if event.channel_id == self.customer.channel_id:
                self._apply_to_customer(event)
            case _ if self.operator and event.channel_id == self.operator.channel_id:
                self._apply_to_operator(self.operator, event)

    def played(self, playback_id: str, *, well: bool) -> None:
        """A playback has ended; that it began will be told no more, if it was not."""
        self.waits.resolve("playing", playback_id)
        self.waits.resolve("played", playback_id, well)

    def _apply_to_customer(self, event: ev.Event) -> None:
        match event:
            case ev.Dial(status=status):
                self._heard_from = self._heard_from or status != ""
                if status == "RINGING":
                    self._rings()
                elif status in FINAL_DIAL_STATUSES:
                    self._dial_status = status
            case ev.ChannelStateChange(state="Ringing"):
                self._heard_from = True
                self._rings()
            case ev.StasisStart() if not self.plan.inbound:
                self.answered()
            case ev.TalkingStarted():
                self.talk.started()
            case ev.TalkingFinished(duration_ms=duration_ms):
                self.talk.finished(self._now_s(), duration_ms, self._talk_silence_ms)
            case ev.ChannelHangupRequest() | ev.StasisEnd():
                self._customer_left()
            case ev.ChannelDestroyed():
                self._customer_destroyed(event)

    def _rings(self) -> None:
        if self.customer.move(LegState.RINGING):
            self.record.post_dial_delay_s = self._now_s() - self._began_s
            POST_DIAL_DELAY_SECONDS.observe(self.record.post_dial_delay_s)
            self.tell()

    def answered(self) -> None:
        """Note that the customer answered (or that we answered the customer)."""
        if self.customer.move(LegState.UP):
            self.record.answered_at = datetime.now(UTC)
            self.record.disposition = Disposition.ANSWERED
            self.waits.resolve("answered", self.customer.channel_id)
            self.tell()

    def _customer_left(self) -> None:
        """The far end leaves an answered call. Before an answer, wait for the cause."""
        if self.record.answered_at is not None or self.plan.inbound:
            self.customer.move(LegState.GONE)
            self.end(CallerHungUp())

    def _customer_destroyed(self, event: ev.ChannelDestroyed) -> None:
        self.record.cause, self.record.sip_status = event.cause, event.sip_status
        self.customer.move(LegState.GONE)
        if self.record.answered_at is None and not self.plan.inbound:
            self.record.disposition = self._disposition_at(event)
            self.end(NotAnswered())
        else:
            self.end(CallerHungUp())
        self.waits.resolve("gone", self.customer.channel_id)

    def _disposition_at(self, event: ev.ChannelDestroyed) -> Disposition:
        if self.over is not None:  # we hung up: the cause is our own
            return Disposition.CANCELLED
        return self._dispositions.disposition_of(
            DialEnd(
                trunk=self.plan.trunk,
                cause=event.cause,
                sip_status=event.sip_status,
                dial_status=self._dial_status,
                heard_from=self._heard_from or event.state not in ("", "Down"),
            )
        )

    def lost(self) -> None:
        """The customer's channel is gone and no event said so (the link was away)."""
        if self.customer.move(LegState.GONE):
            # Answered, he left. Otherwise he may have refused, or answered and found nobody.
            answered = self.record.answered_at is not None or self.plan.inbound
            self.end(CallerHungUp() if answered else CallFailed("link_lost", technical=True))
            self.waits.resolve("gone", self.customer.channel_id)

    def _apply_to_operator(self, leg: Leg, event: ev.Event) -> None:
        match event:
            case ev.StasisStart():
                self.operator_answered(leg)
            case ev.ChannelHangupRequest() | ev.StasisEnd() | ev.ChannelDestroyed():
                if leg.state is LegState.UP or isinstance(event, ev.ChannelDestroyed):
                    self.operator_lost(leg)

    def operator_answered(self, leg: Leg) -> None:
        """The operator's channel is up and ours to bridge."""
        if leg.move(LegState.UP):
            self.waits.resolve("operator", leg.channel_id, LegState.UP)

    def operator_lost(self, leg: Leg) -> None:
        """The operator's channel is gone."""
        leg.move(LegState.GONE)
        self.waits.resolve("operator", leg.channel_id, LegState.GONE)
        self.waits.resolve("operator_left", leg.channel_id)


def _leg_state(saved: SavedCall) -> LegState:
    if saved.record.answered_at is not None:
        return LegState.UP
    return LegState.RINGING if saved.plan.inbound else LegState.DIALING
