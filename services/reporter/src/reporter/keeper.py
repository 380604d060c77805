"""Does what an open breaker asks for: pauses the dialer, has trial calls made, notices the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from reporter.alerts import AlertPlan
from reporter.breaker import (
    BreakerState,
    TrialPlan,
    keep_breaker,
    lock_breaker,
    read_breaker,
    save_breaker,
)
from reporter.dialer_client import DialingSwitch
from reporter.errors import DialerUnavailable
from reporter.metrics import STORE_ERRORS
from reporter.pacing import Pacing
from reporter.storage import unix_ms
from reporter.tables import AlertKind
from reporter.wake import Wake
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

DIALER_PACING = Pacing(first_s=0.5, longest_s=10.0)
_POLL_S = 3.0
# Of several reporters one speaks to the dialer; when it dies another does after so long.
_KEEP_S = 30.0


@dataclass(frozen=True, slots=True)
class KeeperPlan:
    """How to look after the breaker.

    Attributes:
        name: tells this reporter from others on the same database, also after a restart.
        trials: when trial calls are made.
        pacing: waits while the dialer cannot be asked.
        poll_s: seconds between two looks.
    """

    name: str
    trials: TrialPlan
    pacing: Pacing = DIALER_PACING
    poll_s: float = _POLL_S


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
        plan: KeeperPlan,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._dialer = dialer
        self._alert_plan = alert_plan
        self._on_alert = on_alert
        self._plan = plan
        self._wake = Wake()
        self.failures = 0

    def wake(self) -> None:
        """The breaker has opened, or a trial call found the cause gone."""
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
                wait_s = self._plan.poll_s
            await self._wake.wait(wait_s)

    async def _step(self) -> float:
        """Do the next thing; give how long to wait after it, seconds."""
        state = await read_breaker(self._storage)
        if not (state.is_open and await self._keeps()):
            return self._plan.poll_s
        try:
            wait_s = await self._bring_in_line(state)
        except DialerUnavailable as error:
            self.failures += 1
            if self.failures == 1:
                log.warning("the dialer cannot be asked, trying on", reason=error.reason)
            return self._plan.pacing.delay_s(self.failures)
        self.failures = 0
        return wait_s

    async def _keeps(self) -> bool:
        now_ms = unix_ms(self._clock)
        async with self._storage.transaction() as connection:
            until_ms = now_ms + int(_KEEP_S * 1000)
            return await keep_breaker(connection, self._plan.name, now_ms=now_ms, until_ms=until_ms)

    async def _bring_in_line(self, state: BreakerState) -> float:
        if not state.pause_stored:
            await self._dialer.pause(_pause_reason(state))
            await self._change(state, lambda now: replace(now, pause_stored=True))
            log.warning("dialing is paused by the breaker", reason=state.reason)
            return self._plan.poll_s
        if state.trial_passed:
            await self._dialer.resume()
            log.info("the trial call went well, the pause is lifted")
        if not await self._dialer.is_held():
            await self._close(state)
            return 0.0
        due_in_s = self._plan.trials.due_in_s(state, unix_ms(self._clock))
        if due_in_s == 0:
            await self._grant(state)
        return self._plan.poll_s if not due_in_s else min(due_in_s, self._plan.poll_s)

    async def _grant(self, state: BreakerState) -> None:
        """Have a trial call made. Stored first, because its result may come at once."""
        now_ms = unix_ms(self._clock)
        if not await self._change(state, lambda now: replace(now, trial_granted_at_ms=now_ms)):
            return
        try:
            await self._dialer.grant_trial()
        except DialerUnavailable:
            await self._change(state, lambda now: replace(now, trial_granted_at_ms=0))
            raise
        log.info("the breaker has one trial call made", failed_before=state.trials_failed)

    async def _close(self, state: BreakerState) -> None:
        now_ms = unix_ms(self._clock)
        async with self._storage.transaction() as connection:
            now = await lock_breaker(connection)
            if now.opening == state.opening and now.is_open:
                closed = BreakerState(opening=now.opening, reason=now.reason)
                await save_breaker(connection, replace(closed, opened_at_ms=now.opened_at_ms))
                await self._alert_plan.tell(connection, AlertKind.CLOSED, closed, now_ms)
        self._on_alert()
        log.info("the pause was lifted, the breaker is closed")

    async def _change(
        self, state: BreakerState, change: Callable[[BreakerState], BreakerState]
    ) -> bool:
        """Change the breaker; False when this opening is over or a trial call has just decided."""
        async with self._storage.transaction() as connection:
            now = await lock_breaker(connection)
            same = (now.opening, now.trials_failed, now.trial_passed)
            if same != (state.opening, state.trials_failed, state.trial_passed):
                return False
            await save_breaker(connection, change(now))
            return True


def _pause_reason(state: BreakerState) -> str:
    if state.is_out_of_credit:
        return f"out of credit: {state.cause}"
    return f"{state.failures} technical failures in a row, the last one: {state.reason}"
