"""Comparing open attempts with the gateway's calls: no slot leaks, none is freed early."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from dialer.attempts import UNKNOWN_OUTCOME, Ending, stage_of
from dialer.errors import GatewayUnavailable
from dialer.gateway import Gateway
from dialer.ledger import Ledger
from dialer.metrics import DRIFT
from dialer.moments import now_ms
from dialer.tables import AttemptState
from dialer.waking import Bells, Trouble
from dialer.watching import take_in
from servicekit.clock import Clock
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0
# Longer than a request for a call may be under way, and than a gateway that comes back needs to
# take up its calls again.
GRACE_S = 10.0
_MARK_EVERY_MS = 30_000


class Reconciler:
    """Looks every few seconds, and when asked to, what became of every open attempt.

    A call the gateway does not know, though it answers, all through the grace, is lost. An attempt:
    the gateway is told to end it in case it turns up, then it is closed as of unknown outcome and
    never dialled again by itself. An inbound call: its line is freed. As long as the gateway does
    not answer nothing is closed.
    """

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        *,
        bells: Bells,
        clock: Clock,
        grace_s: float = GRACE_S,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._bells = bells
        self._clock = clock
        self._grace_s = grace_s
        self._missing_since_s: dict[str, float] = {}
        self._marked_ms = now_ms(clock)
        self._trouble = Trouble("cannot compare attempts with calls", "attempts are compared again")

    async def run(self) -> None:
        """Reconcile until cancelled."""
        await self._gateway.connected()
        while True:
            try:
                await self.look()
                self._trouble.over()
            except (GatewayUnavailable, StoreUnavailable) as error:
                self._trouble.on(error)
            await self._bells.reconcile.wait(INTERVAL_S)

    async def look(self) -> None:
        """Compare once.

        Raises:
            GatewayUnavailable: no answer; nothing was concluded from that.
            StoreUnavailable: the database is away.
        """
        try:
            await self._compare()
        except GatewayUnavailable:
            self._missing_since_s = {}  # it counts only while the gateway answers
            raise

    async def _compare(self) -> None:
        began_ms = now_ms(self._clock)
        # First the attempts, then the calls: what was placed by then must be known over there.
        expected = await self._ledger.open_attempts()
        others = await self._ledger.other_calls()
        known = others | {
            attempt.attempt_id: attempt.stage
            for attempt in expected
            if attempt.state is AttemptState.PLACED
        }
        listed = await self._gateway.list_calls()
        alive = {call.attempt_id for call in listed.calls}
        for call in listed.calls:
            if known.get(call.attempt_id) != stage_of(call):  # else that would be no news
                DRIFT.labels("news").inc()
                await take_in(call, self._ledger, self._gateway)
        wanted = others.keys() | {attempt.attempt_id for attempt in expected}
        unknown = await self._unknown_of(wanted - alive)
        lost = self._lost(unknown)
        DRIFT.labels("lost_call").inc(len(lost & others.keys()))
        await self._ledger.forget_other_calls(lost & others.keys())
        await self._settle(lost - others.keys())
        if began_ms - self._marked_ms >= _MARK_EVERY_MS:
            await self._ledger.mark_seen(began_ms)
            self._marked_ms = began_ms

    async def _unknown_of(self, attempt_ids: set[str]) -> set[str]:
        """Take in what is remembered of calls that are not alive; give those nobody knows."""
        if not attempt_ids:
            return set()
        remembered = await self._gateway.list_calls(sorted(attempt_ids), include_ended=True)
        for call in remembered.calls:
            await take_in(call, self._ledger, self._gateway)
        return attempt_ids - {call.attempt_id for call in remembered.calls}

    def _lost(self, unknown: set[str]) -> set[str]:
        """Give those nobody has known all through the grace."""
        now_s = self._clock.monotonic_s()
        self._missing_since_s = {
            call_id: self._missing_since_s.get(call_id, now_s) for call_id in unknown
        }
        return {
            call_id
            for call_id, since_s in self._missing_since_s.items()
            if now_s - since_s >= self._grace_s
        }

    async def _settle(self, lost: Iterable[str]) -> None:
        for attempt_id in lost:
            if await self._gateway.hang_up(attempt_id, "nobody waits for it any more"):
                continue  # it turned up after all: the next look learns how it ends
            if await self._ledger.end(attempt_id, Ending.failed(UNKNOWN_OUTCOME)):
                DRIFT.labels("lost_attempt").inc()
                log.warning("nobody knows what became of an attempt", attempt_id=attempt_id)
