"""Carries results from the outbox to the panel, for as long as it takes."""

from __future__ import annotations

import asyncio
import enum

import structlog
from opentelemetry import trace
from opentelemetry.context import Context

from reporter.errors import PanelRefused, PanelUnavailable
from reporter.metrics import DELIVERIES, STORE_ERRORS
from reporter.outbox import Delivery, Outbox, Settlement
from reporter.pacing import Pacing
from reporter.panel import Panel
from reporter.tables import DeliveryStatus
from reporter.wake import Wake
from servicekit.storage import StoreUnavailable
from servicekit.tracing import context_of, of_attempt

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

# One result that the panel keeps failing on must not hold up the others for long.
RESULT_PACING = Pacing(first_s=2.0, longest_s=300.0)
# While the panel is away, one result at a time is tried, so its return is seen within this.
PANEL_PACING = Pacing(first_s=1.0, longest_s=15.0)
_IN_FLIGHT = 16
# Another reporter may have stored something and died before it could send it.
_LOOK_AROUND_S = 5.0


class Verdict(enum.Enum):
    """What one try came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


_VERDICTS = {
    DeliveryStatus.DELIVERED: Verdict.ACCEPTED,
    DeliveryStatus.DEAD: Verdict.REFUSED,
    DeliveryStatus.PENDING: Verdict.UNAVAILABLE,
}


class DeliveryWorker:
    """Delivers until cancelled.

    A result that fails waits by itself while the others go on. When a whole round fails, the panel
    counts as away: single results are tried until one gets an answer, then everything goes out.
    What a round came to is stored in one transaction; while that fails nothing more is sent, since
    a crash would repeat it. `alone` says that no other reporter works on this outbox.
    """

    def __init__(
        self,
        outbox: Outbox,
        panel: Panel,
        *,
        result_pacing: Pacing = RESULT_PACING,
        panel_pacing: Pacing = PANEL_PACING,
        in_flight: int = _IN_FLIGHT,
        alone: bool = False,
        wake: Wake | None = None,
    ) -> None:
        self._outbox = outbox
        self._panel = panel
        self._result_pacing = result_pacing
        self._panel_pacing = panel_pacing
        self._in_flight = in_flight
        self._must_end_leases = alone
        self._wake = wake or Wake()
        self._unsettled: list[Settlement] = []
        self._failed_rounds = 0
        self._retry_after_s = 0.0

    def wake(self) -> None:
        """There is a new delivery."""
        self._wake.ring()

    async def run(self) -> None:
        """Deliver what waits, then wait for more; at the end store what was just delivered."""
        try:
            while True:
                try:
                    await self._round()
                except StoreUnavailable as error:
                    STORE_ERRORS.inc()
                    log.warning("the database is away, deliveries wait", reason=str(error))
                    await self._wake.pause(self._panel_pacing.longest_s / 10)
        finally:
            await self._settle()

    async def _round(self) -> None:
        if self._must_end_leases:
            await self._outbox.end_leases()
            self._must_end_leases = False
        await self._settle()
        away = self._failed_rounds > 0
        if away:
            pause_s = self._panel_pacing.delay_s(self._failed_rounds)
            await self._wake.pause(max(pause_s, self._retry_after_s))
        self._wake.clear()
        batch = await self._outbox.lease(1 if away else self._in_flight, due_only=not away)
        if not batch:
            self._failed_rounds = 0
            next_s = await self._outbox.seconds_to_next()
            await self._wake.wait(min(_LOOK_AROUND_S, next_s or _LOOK_AROUND_S))
            return
        self._retry_after_s = 0.0
        async with asyncio.TaskGroup() as tries:
            for delivery in batch:
                tries.create_task(self._deliver(delivery))
        answered = any(one.status is not DeliveryStatus.PENDING for one in self._unsettled)
        await self._settle()
        await self._note_round(answered=answered)

    async def _settle(self) -> None:
        """Store what is known but not stored; it stays known when that fails."""
        if self._unsettled:
            await self._outbox.settle(self._unsettled)
            self._unsettled = []

    async def _note_round(self, *, answered: bool) -> None:
        if not answered:
            self._failed_rounds += 1
            return
        if self._failed_rounds:
            log.info("the panel takes results again")
            await self._outbox.hasten()
        self._failed_rounds = 0

    async def _deliver(self, delivery: Delivery) -> None:
        # A trace of its own, linked to the report's: it may happen hours later.
        reported = trace.get_current_span(context_of(delivery.traceparent)).get_span_context()
        links = [trace.Link(reported)] if reported.is_valid else []
        with (
            of_attempt(delivery.report.attempt_id),
            tracer.start_as_current_span("deliver result", Context(), links=links) as span,
        ):
            settlement = await self._try(delivery)
            span.set_attribute("outcome", _VERDICTS[settlement.status].value)
        self._unsettled.append(settlement)
        DELIVERIES.labels(_VERDICTS[settlement.status].value).inc()

    async def _try(self, delivery: Delivery) -> Settlement:
        attempt_id = delivery.report.attempt_id
        try:
            await self._panel.report(delivery.report, switches_off=delivery.switches_off)
        except PanelRefused as refusal:
            log.warning("the panel refused a result", attempt_id=attempt_id, reason=refusal.reason)
            said = f"{refusal.reason} {refusal.detail}".strip()
            return Settlement(delivery, DeliveryStatus.DEAD, said)
        except PanelUnavailable as problem:
            return self._postponed(delivery, problem)
        log.debug("result delivered", attempt_id=attempt_id, tries=delivery.tries + 1)
        return Settlement(delivery, DeliveryStatus.DELIVERED)

    def _postponed(self, delivery: Delivery, problem: PanelUnavailable) -> Settlement:
        if self._failed_rounds == 0:
            log.warning("the panel did not take a result, it waits", reason=problem.reason)
        self._retry_after_s = max(self._retry_after_s, problem.retry_after_s)
        wait_s = max(self._result_pacing.delay_s(delivery.tries + 1), problem.retry_after_s)
        return Settlement(delivery, DeliveryStatus.PENDING, problem.reason, wait_s)
