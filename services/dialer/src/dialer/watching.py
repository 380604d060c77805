"""The stream of changes: ends attempts and frees lines the moment it happens."""

from __future__ import annotations

import asyncio

import structlog

from dialer.errors import DialerError, GatewayUnavailable
from dialer.gateway import Gateway, Position
from dialer.ledger import Ledger
from dialer.metrics import DRIFT
from dialer.waking import Backoff, Bells, Trouble
from salehi.calls.v1.calls_pb2 import Call, WatchCallsResponse
from servicekit.clock import Clock
from servicekit.storage import StoreUnavailable
from servicekit.tracing import going_on

log = structlog.get_logger(__name__)

# The stream may have been away for longer than the reconciler noticed.
_OVERLAP_MS = 120_000
_LATE = "its attempt was closed before"


class Watcher:
    """Follows the gateway's stream, and takes it up again where it broke."""

    def __init__(self, gateway: Gateway, ledger: Ledger, *, bells: Bells, clock: Clock) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._bells = bells
        self._position = Position()
        self._patience = Backoff(clock, first_s=0.2)
        self._trouble = Trouble("lost the stream of calls", "the stream of calls is back")

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._gateway.connected()
        while True:
            try:
                async for message in self._gateway.watch(self._position):
                    await self._take(message)
                    self._patience.succeeded()
                    self._trouble.over()
            except (GatewayUnavailable, StoreUnavailable) as error:
                # Without the database a change is not taken in: the position stays before it.
                self._trouble.on(error, address=self._gateway.address)
                self._patience.failed()
                await asyncio.sleep(self._patience.remaining_s())

    async def _take(self, message: WatchCallsResponse) -> None:
        if message.HasField("snapshot"):
            for call in message.snapshot.calls:
                await take_in(call, self._ledger, self._gateway)
            # What ended meanwhile is not in a snapshot: attempts are asked for one by one, but of
            # an inbound call nobody here may know.
            self._bells.reconcile.ring()
            await self._take_missed_inbound()
        elif message.HasField("changed") and self._ledger.is_news(message.changed):
            await take_in(message.changed, self._ledger, self._gateway)
        self._position = Position(message.epoch, message.sequence)

    async def _take_missed_inbound(self) -> None:
        """Take in inbound calls that came and went while nobody watched: they may be opt-outs."""
        seen_until_ms = await self._ledger.seen_until_ms()
        if seen_until_ms is not None:
            for call in await self._gateway.inbound_since(seen_until_ms - _OVERLAP_MS):
                await take_in(call, self._ledger, self._gateway)


async def take_in(call: Call, ledger: Ledger, gateway: Gateway) -> None:
    """Write down a call's news; end a call whose attempt was closed, as nobody counts it."""
    with going_on(call.traceparent, call.attempt_id):
        if await ledger.apply(call):
            return
        DRIFT.labels("late_call").inc()
        log.warning("a call appeared after its attempt was closed")
        try:
            await gateway.hang_up(call.attempt_id, _LATE)
        except DialerError as error:
            log.warning("it could not be ended yet", reason=str(error))
