"""Carries results from the outbox to the panel, for as long as it takes."""

from __future__ import annotations

import asyncio
import enum

import structlog
from opentelemetry import trace
from opentelemetry.context import Context

from reporter.errors import PanelRefused, PanelUnavailable, StoreUnavailable
from reporter.metrics import DELIVERIES, STORE_ERRORS
from reporter.outbox import Delivery, Outbox
from reporter.pacing import Pacing
from reporter.panel import Panel
from reporter.wake import Wake
from servicekit.tracing import context_of

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

# One result that the panel keeps failing on must not hold up the others for long.
RESULT_PACING = Pacing(first_s=2.0, longest_s=300.0)
# While the panel is away, one result at a time is tried, so its return is seen within this.
PANEL_PACING = Pacing(first_s=1.0, longest_s=15.0)
_IN_FLIGHT = 8


class Verdict(enum.Enum):
    """What one try came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class DeliveryWorker:
    """Delivers until cancelled.

    A result that fails waits by itself while the others go on. When a whole round fails, the panel
    counts as away: single results are tried until one gets an answer, then everything goes out.
    """

    def __init__(
        self,
        outbox: Outbox,
        panel: Panel,
        *,
        result_pacing: Pacing = RESULT_PACING,
        panel_pacing: Pacing = PANEL_PACING,
        in_flight: int = _IN_FLIGHT,
    ) -> None:
        self._outbox = outbox
        self._panel = panel
        self._result_pacing = result_pacing
        self._panel_pacing = panel_pacing
        self._in_flight = in_flight
        self._wake = Wake()
        self._failed_rounds = 0
        self._retry_after_s = 0.0

    def wake(self) -> None:
        """There is a new delivery."""
        self._wake.ring()

    async def run(self) -> None:
        """Deliver what waits, then wait for more."""
        while True:
            try:
                await self._round()
            except* StoreUnavailable as errors:
                STORE_ERRORS.inc()
                log.warning("the database is away, deliveries wait", errors=len(errors.exceptions))
                await asyncio.sleep(self._panel_pacing.longest_s / 10)

    async def _round(self) -> None:
        away = self._failed_rounds > 0
        if away:
            pause_s = self._panel_pacing.delay_s(self._failed_rounds)
            await asyncio.sleep(max(pause_s, self._retry_after_s))
        self._wake.clear()
        batch = await self._outbox.waiting(1 if away else self._in_flight, due_only=not away)
        if not batch:
            self._failed_rounds = 0
            await self._wake.wait(await self._outbox.seconds_to_next())
            return
        self._retry_after_s = 0.0
        async with asyncio.TaskGroup() as tries:
            tasks = [tries.create_task(self._deliver(delivery)) for delivery in batch]
        await self._note_round([task.result() for task in tasks])

    async def _note_round(self, verdicts: list[Verdict]) -> None:
        answered = any(verdict is not Verdict.UNAVAILABLE for verdict in verdicts)
        if not answered:
            self._failed_rounds += 1
            return
        if self._failed_rounds:
            log.info("the panel takes results again")
            await self._outbox.hasten()
        self._failed_rounds = 0

    async def _deliver(self, delivery: Delivery) -> Verdict:
        # A trace of its own, linked to the report's: it may happen hours later.
        reported = trace.get_current_span(context_of(delivery.traceparent)).get_span_context()
        links = [trace.Link(reported)] if reported.is_valid else []
        with tracer.start_as_current_span("deliver result", context=Context(), links=links):
            verdict = await self._try(delivery)
        DELIVERIES.labels(verdict.value).inc()
        return verdict

    async def _try(self, delivery: Delivery) -> Verdict:
        attempt_id = delivery.report.attempt_id
        try:
            await self._panel.report(delivery.report, switches_off=delivery.switches_off)
        except PanelRefused as refusal:
            await self._outbox.bury(delivery, f"{refusal.reason} {refusal.detail}".strip())
            log.warning("the panel refused a result", attempt_id=attempt_id, reason=refusal.reason)
            return Verdict.REFUSED
        except PanelUnavailable as problem:
            await self._postpone(delivery, problem)
            return Verdict.UNAVAILABLE
        await self._outbox.delivered(delivery)
        log.debug("result delivered", attempt_id=attempt_id, tries=delivery.tries + 1)
        return Verdict.ACCEPTED

    async def _postpone(self, delivery: Delivery, problem: PanelUnavailable) -> None:
        if self._failed_rounds == 0:
            log.warning("the panel did not take a result, it waits", reason=problem.reason)
        self._retry_after_s = max(self._retry_after_s, problem.retry_after_s)
        wait_s = max(self._result_pacing.delay_s(delivery.tries + 1), problem.retry_after_s)
        await self._outbox.postpone(delivery, problem.reason, wait_s=wait_s)
