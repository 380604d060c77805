"""Sends the stored SMS."""

from __future__ import annotations

import structlog

from reporter.alerts import Alert, AlertBook
from reporter.errors import SmsFailed
from reporter.metrics import SMS, STORE_ERRORS
from reporter.pacing import Pacing
from reporter.sms import SmsGateway
from reporter.tables import AlertStatus
from reporter.wake import Wake
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

SMS_PACING = Pacing(first_s=5.0, longest_s=300.0)
_MOST_TRIES = 8  # about a quarter of an hour
_STORE_RETRY_S = 3.0
# Another reporter may have stored an alert and died before it could send it.
_LOOK_AROUND_S = 10.0


class AlertSender:
    """Sends alerts one after the other until cancelled."""

    def __init__(
        self, book: AlertBook, gateway: SmsGateway, *, pacing: Pacing = SMS_PACING
    ) -> None:
        self._book = book
        self._gateway = gateway
        self._pacing = pacing
        self._wake = Wake()

    def wake(self) -> None:
        """There is a new alert."""
        self._wake.ring()

    async def run(self) -> None:
        """Give up what a crash left in doubt, then send what waits, then wait for more."""
        while True:
            self._wake.clear()
            try:
                await self._abandon_unknown()
                wait_s = await self._send_due()
            except StoreUnavailable as error:
                STORE_ERRORS.inc()
                log.warning("the database is away, alerts wait", reason=str(error))
                wait_s = _STORE_RETRY_S
            await self._wake.wait(wait_s)

    async def _abandon_unknown(self) -> None:
        abandoned = await self._book.abandon_unknown()
        if abandoned:
            SMS.labels("failed").inc(abandoned)
            log.warning("alerts interrupted by a stop are not repeated", count=abandoned)

    async def _send_due(self) -> float:
        while (alert := await self._book.take_due()) is not None:
            await self._send(alert)
        next_s = await self._book.seconds_to_next()
        return _LOOK_AROUND_S if next_s is None else min(next_s, _LOOK_AROUND_S)

    async def _send(self, alert: Alert) -> None:
        try:
            await self._gateway.send(alert.recipient, alert.text)
        except SmsFailed as failure:
            await self._note_failure(alert, failure)
            return
        SMS.labels("sent").inc()
        log.info("alert sent", about=alert.kind.value, recipient_pii=alert.recipient)
        await self._book.settle(alert, AlertStatus.SENT)

    async def _note_failure(self, alert: Alert, failure: SmsFailed) -> None:
        tries = alert.tries + 1
        again = failure.retryable and tries < _MOST_TRIES
        log.error(
            "alert not sent",
            about=alert.kind.value,
            recipient_pii=alert.recipient,
            reason=failure.reason,
            again=again,
        )
        if again:
            wait_s = self._pacing.delay_s(tries)
            await self._book.settle(alert, AlertStatus.PENDING, wait_s=wait_s)
            return
        SMS.labels("failed").inc()
        await self._book.settle(alert, AlertStatus.FAILED)
