"""The reporter's figures."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import Counter, Gauge

from reporter.breaker import read_breaker
from reporter.callbacks import Callbacks
from reporter.outbox import Outbox
from reporter.words import RESULT_WORDS
from servicekit.metrics import from_zero
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

RESULTS = Counter("salehi_results_total", "Results taken, each attempt once", ["result"])
from_zero(RESULTS, RESULT_WORDS.values())
TECHNICAL_FAILURES = Counter("salehi_technical_failures_total", "Results that were our failure")
DELIVERIES = Counter(
    "salehi_panel_deliveries_total",
    "Tries to report to the panel: accepted, refused (dead letter), unavailable (tried again)",
    ["outcome"],
)
from_zero(DELIVERIES, ("accepted", "refused", "unavailable"))
SMS = Counter("salehi_sms_total", "Alerts by SMS: sent, failed", ["outcome"])
from_zero(SMS, ("sent", "failed"))
OUTBOX_PENDING = Gauge("salehi_outbox_pending", "Results the panel has not heard of yet")
OUTBOX_DEAD = Gauge("salehi_outbox_dead_letters", "Results the panel refused")
OUTBOX_OLDEST_S = Gauge(
    "salehi_outbox_oldest_age_seconds", "Age of the oldest result the panel has not heard of"
)
FORGOTTEN = Counter(
    "salehi_forgotten_total", "What grew too old: results, words, callbacks", ["what"]
)
from_zero(FORGOTTEN, ("results", "words", "callbacks"))
CALLBACKS_WAITING = Gauge(
    "salehi_reporter_callbacks_waiting", "People who wanted an operator in vain and wait for a call"
)
CALLBACKS_OLDEST_S = Gauge(
    "salehi_reporter_callbacks_oldest_age_seconds", "How long the first of them has been waiting"
)
BREAKER_OPEN = Gauge("salehi_failure_breaker_open", "1 while the failure breaker holds dialing")
BREAKER_FAILURES = Gauge("salehi_failure_breaker_failures", "Technical failures in a row")
STORE_ERRORS = Counter("salehi_reporter_store_errors_total", "Times the database was away")


class Gauger:
    """Keeps the gauges true: reads them from the database now and then."""

    def __init__(
        self, storage: Storage, outbox: Outbox, callbacks: Callbacks, *, interval_s: float = 5.0
    ) -> None:
        self._storage = storage
        self._outbox = outbox
        self._callbacks = callbacks
        self._interval_s = interval_s

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            try:
                await self.measure()
            except StoreUnavailable as error:
                STORE_ERRORS.inc()
                log.warning("the database is away, figures are old", reason=str(error))
            await asyncio.sleep(self._interval_s)

    async def measure(self) -> None:
        """Measure once.

        Raises:
            StoreUnavailable: the database is away.
        """
        depth = await self._outbox.depth()
        waiting = await self._callbacks.waiting()
        state = await read_breaker(self._storage)
        OUTBOX_PENDING.set(depth.pending)
        OUTBOX_DEAD.set(depth.dead)
        OUTBOX_OLDEST_S.set(depth.oldest_age_s)
        CALLBACKS_WAITING.set(waiting.people)
        CALLBACKS_OLDEST_S.set(waiting.oldest_age_s)
        BREAKER_OPEN.set(state.is_open)
        BREAKER_FAILURES.set(state.failures)
