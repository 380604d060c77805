"""Does what an open breaker asks for: pauses the dialer, and notices when somebody lifts that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from reporter.alerts import AlertPlan
from reporter.breaker import BreakerState, lock_breaker, read_breaker, save_breaker
from reporter.dialer_client import DialingSwitch
from reporter.errors import DialerUnavailable, StoreUnavailable
from reporter.metrics import STORE_ERRORS
from reporter.pacing import Pacing
from reporter.storage import Storage, unix_ms
from reporter.tables import AlertKind
from reporter.wake import Wake
from servicekit.clock import Clock

log = structlog.get_logger(__name__)

DIALER_PACING = Pacing(first_s=0.5, longest_s=10.0)
_POLL_S = 3.0


class BreakerKeeper:
    """Brings the dialer in line with the breaker until cancelled; `on_alert` follows stored SMS.

    Attributes:
        failures: how often in a row the dialer could not be asked.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        dialer: DialingSwitch,
        alert_plan: AlertPlan,
        on_alert: Callable[[], None],
        *,
        pacing: Pacing = DIALER_PACING,
        poll_s: float = _POLL_S,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._dialer = dialer
        self._alert_plan = alert_plan
        self._on_alert = on_alert
        self._pacing = pacing
        self._poll_s = poll_s
        self._wake = Wake()
        self.failures = 0

    def wake(self) -> None:
        """The breaker has opened."""
        self._wake.ring()

    async def run(self) -> None:
        """Look after the breaker; only an open one needs anything."""
        while True:
            self._wake.clear()
            try:
                wait_s = await self._step()
            except StoreUnavailable as error:
                STORE_ERRORS.inc()
                log.warning("the database is away, the breaker waits", reason=str(error))
                wait_s = self._poll_s
            await self._wake.wait(wait_s)

    async def _step(self) -> float | None:
        """Do the next thing; give how long to wait after it, seconds, None until woken."""
        state = await read_breaker(self._storage)
        if not state.is_open:
            return None
        try:
            if state.pause_stored:
                wait_s = await self._check(state)
            else:
                wait_s = await self._pause(state)
        except DialerUnavailable as error:
            self.failures += 1
            if self.failures == 1:
                log.warning("the dialer cannot be asked, trying on", reason=error.reason)
            return self._pacing.delay_s(self.failures)
        self.failures = 0
        return wait_s

    async def _pause(self, state: BreakerState) -> float:
        await self._dialer.pause(_pause_reason(state))
        async with self._storage.transaction() as connection:
            now = await lock_breaker(connection)
            if now.opening == state.opening:
                await save_breaker(connection, replace(now, pause_stored=True))
        log.warning("dialing is paused by the breaker", reason=state.reason)
        return self._poll_s

    async def _check(self, state: BreakerState) -> float:
        if await self._dialer.is_held():
            return self._poll_s
        async with self._storage.transaction() as connection:
            now = await lock_breaker(connection)
            if now.opening == state.opening:
                closed = replace(now, is_open=False, failures=0, pause_stored=False)
                await save_breaker(connection, closed)
                await self._alert_plan.tell(
                    connection, AlertKind.CLOSED, closed, unix_ms(self._clock)
                )
        self._on_alert()
        log.info("the pause was lifted, the breaker is closed")
        return 0.0


def _pause_reason(state: BreakerState) -> str:
    if state.is_out_of_credit:
        return f"out of credit: {state.reason}"
    return f"{state.failures} technical failures in a row, the last one: {state.reason}"
