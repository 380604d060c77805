"""One dialer process among several on the same database."""

from __future__ import annotations

import asyncio

from dialer.attempts import Claim
from dialer.claim import Claimer, Rules
from dialer.gateway import Gateway
from dialer.ledger import Ledger
from dialer.numbers import DialTemplate, NumberPlan
from dialer.placing import Placer, Trunk
from dialer.readiness import Readiness
from dialer.reconciling import Reconciler
from dialer.retries import RetryPolicy
from dialer.waking import Backoff, Bells
from dialer.watching import take_in
from salehi.calls.v1.calls_pb2 import Call
from servicekit.clock import Clock
from servicekit.storage import Storage

TRUNK = Trunk("trunk", DialTemplate("{line_last4}{number}"), None, 30)


class Replica:
    """The parts of a dialer that touch attempts; what they remember dies with it.

    Attributes:
        is_alive: false once it died; nothing more is heard of it.
        storage: its connections to the database.
        requests: its requests to the gateway under way.
    """

    def __init__(
        self, storage: Storage, gateway: Gateway, rules: Rules, policy: RetryPolicy, clock: Clock
    ) -> None:
        bells = Bells()
        self._gateway = gateway
        self._ledger = Ledger(storage, policy=policy, plan=NumberPlan(), clock=clock, bells=bells)
        self._placer = Placer(
            gateway,
            self._ledger,
            TRUNK,
            readiness=Readiness(gateway, clock),
            patience=Backoff(clock),
            bells=bells,
            clock=clock,
        )
        self.claimer = Claimer(storage, rules, clock)
        self.reconciler = Reconciler(gateway, self._ledger, bells=bells, clock=clock)
        self.is_alive = True
        self.storage = storage
        self.requests: set[asyncio.Task[None]] = set()

    async def place(self, claim: Claim) -> None:
        """Ask the gateway for a claimed call."""
        await self._placer.place(claim)

    async def hear(self, call: Call) -> None:
        """Take in the stream's word of a call, as the watcher does."""
        if self._ledger.is_news(call):
            await take_in(call, self._ledger, self._gateway)

    async def die(self) -> None:
        """Leave everything as it is."""
        self.is_alive = False
        for request in self.requests:
            request.cancel()
        await asyncio.gather(*self.requests, return_exceptions=True)
        self.requests.clear()
