"""The SMS that tell the admins: one per admin when the breaker opens, one when it closes.

Each SMS is a row, written with the change it tells of. A row is marked SENDING before its request
leaves: if nobody knows what became of the request, it is not repeated. An admin may then miss an
alert, but no outage of the gateway turns into a storm of them. Of several reporters each takes the
rows that no other is sending.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.breaker import BreakerState
from reporter.storage import unix_ms
from reporter.tables import AlertKind, AlertStatus, alerts
from servicekit.clock import Clock
from servicekit.storage import Storage

# Longer than any request to a gateway takes: after that nobody can be sending it any more.
_LEASE_S = 1800.0
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_ -]+")
_TEXTS = {
    "en": {
        "failures": "Salehi: dialing is paused after {failures} technical failures in a row, "
        "the last one: {reason}. Resume it when the cause is gone.",
        "credit": "Salehi: dialing is paused, a provider is out of credit: {reason}. "
        "Resume it when the account is filled.",
        "closed": "Salehi: dialing has resumed.",
    },
    "fa": {
        "failures": "صالحی: تماس‌ها پس از {failures} خطای فنی پیاپی متوقف شد. "
        "آخرین خطا: {reason}. پس از رفع مشکل ادامه دهید.",
        "credit": "صالحی: تماس‌ها متوقف شد، اعتبار سرویس تمام شده است: {reason}. "
        "پس از شارژ حساب ادامه دهید.",
        "closed": "صالحی: تماس‌ها از سر گرفته شد.",
    },
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One SMS to send.

    Attributes:
        alert_id: its row.
        kind: what it tells.
        recipient: the admin's number. Personal data.
        text: without links, which gateways refuse.
        tries: how often it was tried before.
    """

    alert_id: int
    kind: AlertKind
    recipient: str
    text: str
    tries: int


@dataclass(frozen=True, slots=True)
class AlertPlan:
    """Whom to tell, in which language; no recipients means nobody is told."""

    recipients: tuple[str, ...]
    language: str

    async def tell(
        self, connection: AsyncConnection, kind: AlertKind, state: BreakerState, now_ms: int
    ) -> None:
        """Store one SMS per admin, in the transaction that changes the breaker."""
        rows = [
            {
                "opening": state.opening,
                "kind": kind,
                "recipient": recipient,
                "text": self.text(kind, state),
                "status": AlertStatus.PENDING,
                "tries": 0,
                "next_try_at_ms": now_ms,
            }
            for recipient in dict.fromkeys(self.recipients)
        ]
        if rows:
            await connection.execute(insert(alerts), rows)

    def text(self, kind: AlertKind, state: BreakerState) -> str:
        """Word an alert; the reason loses everything that could look like a link."""
        texts = _TEXTS[self.language]
        if kind is AlertKind.CLOSED:
            return texts["closed"]
        template = texts["credit" if state.is_out_of_credit else "failures"]
        reason = _NOT_PLAIN.sub(" ", state.cause).strip()[:100]
        return template.format(failures=state.failures, reason=reason)


class AlertBook:
    """The stored SMS. Every method may raise StoreUnavailable."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def abandon_unknown(self) -> int:
        """Give up the SMS whose request a crash interrupted; give how many."""
        async with self._storage.transaction() as connection:
            found = await connection.execute(
                update(alerts)
                .where(
                    alerts.c.status == AlertStatus.SENDING,
                    alerts.c.next_try_at_ms <= unix_ms(self._clock),
                )
                .values(status=AlertStatus.FAILED)
            )
        return found.rowcount

    async def take_due(self) -> Alert | None:
        """Mark the first due SMS as being sent and give it."""
        now_ms = unix_ms(self._clock)
        async with self._storage.transaction() as connection:
            row = (
                await connection.execute(
                    select(alerts)
                    .where(
                        alerts.c.status == AlertStatus.PENDING,
                        alerts.c.next_try_at_ms <= now_ms,
                    )
                    .order_by(alerts.c.id)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
            ).one_or_none()
            if row is None:
                return None
            await connection.execute(
                update(alerts)
                .where(alerts.c.id == row.id)
                .values(
                    status=AlertStatus.SENDING,
                    tries=row.tries + 1,
                    next_try_at_ms=now_ms + int(_LEASE_S * 1000),
                )
            )
        return Alert(row.id, AlertKind(row.kind), row.recipient, row.text, row.tries)

    async def settle(self, alert: Alert, status: AlertStatus, *, wait_s: float = 0.0) -> None:
        """Store what became of a taken SMS; PENDING tries it again after `wait_s` seconds."""
        async with self._storage.transaction() as connection:
            await connection.execute(
                update(alerts)
                .where(alerts.c.id == alert.alert_id)
                .values(status=status, next_try_at_ms=unix_ms(self._clock) + int(wait_s * 1000))
            )

    async def seconds_to_next(self) -> float | None:
        """Give how long until an SMS is due, seconds; None when none waits."""
        async with self._storage.transaction() as connection:
            due_ms = await connection.scalar(
                select(func.min(alerts.c.next_try_at_ms)).where(
                    alerts.c.status == AlertStatus.PENDING
                )
            )
        return None if due_ms is None else max(0.0, (due_ms - unix_ms(self._clock)) / 1000)
