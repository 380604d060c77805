"""The campaign: claim, place, and wait for the next moment at which something can change."""

from __future__ import annotations

import asyncio

import structlog

from dialer.attempts import Claim
from dialer.claim import Claimer, NotNow, Refusal
from dialer.limits import BY_TIME, Limit
from dialer.metrics import CLAIMS, NOT_NOW
from dialer.moments import now_ms
from dialer.placing import Placer
from dialer.readiness import Readiness
from dialer.waking import Backoff, Bells, Trouble
from servicekit.clock import Clock
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

# Another dialer on the same database may free a line or lift a pause without telling this one.
_LONGEST_WAIT_S = 5.0
_SHORTEST_WAIT_S = 0.005
_READY_AGAIN_S = 0.5
_LAST_REQUESTS_S = 2.0
# The panel may have numbers, or allow calls again.
_ASK_THE_PANEL = frozenset({Refusal.NO_CONTACTS, Refusal.PANEL, Refusal.BREAKER})


class Campaign:
    """Dials whenever a contact, a line and the gateway allow it.

    Woken by the bell `dial`; rings `hungry` when nobody is left to call, or dialing is held back by
    what the panel may lift.
    """

    def __init__(
        self,
        claimer: Claimer,
        placer: Placer,
        *,
        readiness: Readiness,
        patience: Backoff,
        bells: Bells,
        clock: Clock,
    ) -> None:
        self._claimer = claimer
        self._placer = placer
        self._readiness = readiness
        self._patience = patience
        self._bells = bells
        self._clock = clock
        self._stopped = False
        self._told = ""
        self._trouble = Trouble("cannot claim calls", "calls are claimed again")
        self._heeds_ends = True
        self.waiting_for = "starting"
        self.is_hungry = False

    def stop(self) -> None:
        """Claim nothing more, from now on."""
        self._stopped = True
        self._bells.dial.ring()

    async def run(self) -> None:
        """Dial until stopped; requests under way then get a moment to be answered."""
        async with asyncio.TaskGroup() as group:
            requests: set[asyncio.Task[None]] = set()
            while not self._stopped:
                wait_s = await self._step(group, requests)
                if wait_s > 0 and not self._stopped:
                    await self._bells.dial.wait(wait_s, heeds_ends=self._heeds_ends)
            if requests:
                _, late = await asyncio.wait(requests, timeout=_LAST_REQUESTS_S)
                for request in late:
                    request.cancel()

    async def _step(self, group: asyncio.TaskGroup, requests: set[asyncio.Task[None]]) -> float:
        """Place one call if one may be placed; give how long to wait, seconds."""
        if (held_s := self._patience.remaining_s()) > 0:
            return held_s
        if obstacle := await self._readiness.obstacle():
            self.waiting_for = obstacle
            return _READY_AGAIN_S
        if self._stopped:
            return 0.0
        try:
            claim = await self._claimer.claim()
        except StoreUnavailable as error:
            self._trouble.on(error)
            self.waiting_for = "waiting for the database"
            self._patience.failed()
            return self._patience.remaining_s()
        self._trouble.over()
        if isinstance(claim, NotNow):
            return self._wait_out(claim)
        self._place(claim, group, requests)
        return 0.0

    def _place(
        self, claim: Claim, group: asyncio.TaskGroup, requests: set[asyncio.Task[None]]
    ) -> None:
        CLAIMS.labels(claim.line).inc()
        self.waiting_for, self.is_hungry = "", False
        request = group.create_task(self._placer.place(claim))
        requests.add(request)
        request.add_done_callback(requests.discard)

    def _wait_out(self, refusal: NotNow) -> float:
        reasons = refusal.limits if refusal.why is Refusal.NO_ROOM else {refusal.why}
        for reason in reasons:
            NOT_NOW.labels(reason).inc()
        self.is_hungry = refusal.why in _ASK_THE_PANEL
        if self.is_hungry:
            self._bells.hungry.ring()
        # Only room is made by an end; who is due for it again is due some time after it.
        self._heeds_ends = not refusal.limits <= BY_TIME
        self._tell(refusal)
        if refusal.until_ms is None:
            return _LONGEST_WAIT_S
        wait_s = (refusal.until_ms - now_ms(self._clock)) / 1000
        return min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, wait_s))

    def _tell(self, refusal: NotNow) -> None:
        """Keep and log why nothing is dialled; full lines are the campaign at work."""
        full = refusal.why is Refusal.NO_ROOM and Limit.DAY not in refusal.limits
        paused = refusal.why in {Refusal.PAUSED, Refusal.BREAKER}
        self.waiting_for = "" if full or paused else refusal.detail
        if not full and refusal.detail != self._told:
            log.info("not dialing", reason=refusal.detail)
        self._told = refusal.detail if not full else self._told
