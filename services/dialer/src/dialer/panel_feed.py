"""Fetching numbers from the panel whenever the campaign has run out of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.attempts import Ending, unplaced_report
from dialer.contacts import Contact, NewContact, add_contacts
from dialer.errors import InvalidNumber, PanelUnavailable
from dialer.identities import panel_attempt_id
from dialer.locks import lock_claims
from dialer.marks import recall, remember
from dialer.metrics import CONTACTS_ADDED, CONTACTS_REJECTED, PANEL_ANSWERS
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.panel import Batch, Blocked, Panel, PanelNumber
from dialer.pauses import Pause, PauseKind, hold, in_force, lift
from dialer.reports import queue_report
from dialer.storage import insert_new
from dialer.tables import ContactState, Source, batches, contacts
from dialer.waking import Bells, Trouble
from salehi.calls.v1.calls_pb2 import Disposition, Result
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

LOCK_MS = 60 * 60 * 1000
# What the panel says after it was switched off, by a person or by the report of an open breaker.
_SWITCHED_OFF = "disabled"
_SAID_SO = "panel said it is switched off"
_BASIS = "panel"
_INVALID_NUMBER = "invalid_number"
_MAX_NUMBER_LENGTH = 40


@dataclass(frozen=True)
class Asking:
    """How the panel is asked.

    Attributes:
        batch_size: numbers at once.
        default_retry_s: seconds until it is asked again, unless it says.
        active_lines: lines in use, for panels that want to know.
    """

    batch_size: int
    default_retry_s: float
    active_lines: int


class PanelFeed:
    """Asks the panel for a batch when `hungry` is rung, and stores it before it is dialled.

    A panel that says no holds the switch until it says yes; one that does not answer, or makes no
    sense, is asked again later. An open breaker makes the panel switch itself off; where it says
    so, and later says yes, a person has switched it on again, and the breaker's pause is lifted
    with the panel's. For that it is asked on while the breaker holds, for one number at a time.
    """

    def __init__(
        self,
        panel: Panel,
        storage: Storage,
        plan: NumberPlan,
        *,
        asking: Asking,
        bells: Bells,
        clock: Clock,
    ) -> None:
        self._panel = panel
        self._storage = storage
        self._plan = plan
        self._asking = asking
        self._bells = bells
        self._clock = clock
        self._trouble = Trouble("the panel gives no numbers", "the panel gives numbers again")
        self.waiting_for = ""

    async def run(self) -> None:
        """Feed until cancelled."""
        while True:
            await self._bells.hungry.wait()
            try:
                wait_s = await self._feed()
            except (PanelUnavailable, StoreUnavailable) as error:
                PANEL_ANSWERS.labels("error").inc()
                self._trouble.on(error)
                self.waiting_for = f"panel: {error}"
                wait_s = self._asking.default_retry_s
            await asyncio.sleep(wait_s)

    async def _feed(self) -> float:
        """Ask once if there is need; give the seconds until the panel may be asked again."""
        size = await self._wanted()
        if not size:
            return 0.0
        asked_at_ms = now_ms(self._clock)  # the lock may begin while the answer is on its way
        answer = await self._panel.next_batch(size, active_lines=self._asking.active_lines)
        if isinstance(answer, Blocked):
            return await self._block(answer, asked_at_ms)
        accepted, is_held = await self._store(answer, asked_at_ms)
        self._trouble.over()
        self.waiting_for = "" if accepted else "panel: no numbers"
        if accepted:
            self._bells.dial.ring()
        if is_held:
            return self._asking.default_retry_s
        if accepted:
            return 0.0
        return answer.retry_after_s or self._asking.default_retry_s

    async def _wanted(self) -> int:
        """Say how many numbers to ask for; none while some are due, or a person holds us back."""
        async with self._storage.transaction() as connection:
            held = {pause.kind for pause in await in_force(connection)}
            if PauseKind.MANUAL in held:
                return 0
            if PauseKind.BREAKER in held:
                return 1  # only to learn whether it was switched on again
            statement = (
                select(contacts.c.id)
                .where(
                    contacts.c.state == ContactState.WAITING,
                    contacts.c.source == Source.PANEL,
                    contacts.c.not_before_ms <= now_ms(self._clock),
                )
                .limit(1)
            )
            if PauseKind.PANEL in held or (await connection.execute(statement)).first() is None:
                return self._asking.batch_size
            return 0

    async def _block(self, blocked: Blocked, asked_at_ms: int) -> float:
        PANEL_ANSWERS.labels("blocked").inc()
        retry_s = blocked.retry_after_s or self._asking.default_retry_s
        self._trouble.on(blocked.reason, retry_s=retry_s)
        self.waiting_for = f"panel: {blocked.reason}"
        pause = Pause(PauseKind.PANEL, blocked.reason, "panel", asked_at_ms)
        async with self._storage.transaction() as connection:
            await lock_claims(connection)
            await hold(connection, pause)
            if blocked.reason == _SWITCHED_OFF:
                await remember(connection, _SAID_SO, asked_at_ms)
            is_held = await _breaker(connection) is not None
        return self._asking.default_retry_s if is_held else retry_s

    async def _store(self, batch: Batch, asked_at_ms: int) -> tuple[int, bool]:
        """Store a batch whole; give how many numbers can be dialled, and if the breaker holds."""
        usable: list[NewContact] = []
        invalid: list[PanelNumber] = []
        for number in batch.numbers:
            try:
                usable.append(self._contact_of(number, batch.id, asked_at_ms))
            except InvalidNumber:
                invalid.append(number)
        async with self._storage.transaction() as connection:
            is_held = await self._let_go(connection)
            added = await add_contacts(connection, usable, asked_at_ms)
            rejected = len(invalid) + batch.unusable
            if await _is_first(connection, batch.id, asked_at_ms, len(added), rejected):
                for number in invalid:
                    await self._report_invalid(connection, number, batch.id, asked_at_ms)
        self._count(len(added), len(invalid), batch)
        return len(added), is_held

    async def _let_go(self, connection: AsyncConnection) -> bool:
        """Lift what the panel's yes lifts; say whether the breaker still holds."""
        await lock_claims(connection)
        await lift(connection, [PauseKind.PANEL])
        breaker = await _breaker(connection)
        if breaker is None:
            return False
        switched_off_ms = await recall(connection, _SAID_SO)
        if switched_off_ms is None or switched_off_ms < breaker.since_ms:
            return True
        await lift(connection, [PauseKind.BREAKER])
        log.warning(
            "the panel was switched on again: the breaker's pause is lifted", breaker=breaker.reason
        )
        self._bells.dial.ring()
        return False

    def _contact_of(self, number: PanelNumber, batch_id: str, asked_at_ms: int) -> NewContact:
        return NewContact(
            Source.PANEL,
            f"{Source.PANEL}:{batch_id}:{number.id}",
            self._plan.normalise(number.text),
            _BASIS,
            panel_number_id=number.id,
            panel_batch_id=batch_id,
            expires_at_ms=asked_at_ms + LOCK_MS,
        )

    async def _report_invalid(
        self, connection: AsyncConnection, number: PanelNumber, batch_id: str, at_ms: int
    ) -> None:
        """Report a number that cannot be dialled, so that the panel does not wait for it."""
        contact = Contact(0, Source.PANEL, number.text[:_MAX_NUMBER_LENGTH], number.id, batch_id, 0)
        ending = Ending(
            Result.RESULT_FAILED, _INVALID_NUMBER, Disposition.DISPOSITION_INVALID_NUMBER
        )
        attempt_id = panel_attempt_id(batch_id, number.id)
        report = unplaced_report(attempt_id, contact, ending, at_ms, at_ms)
        await queue_report(connection, report, at_ms)

    def _count(self, added: int, invalid: int, batch: Batch) -> None:
        PANEL_ANSWERS.labels("batch" if batch.numbers else "empty").inc()
        CONTACTS_ADDED.labels(Source.PANEL).inc(added)
        CONTACTS_REJECTED.labels(Source.PANEL).inc(invalid + batch.unusable)
        if invalid:
            self._bells.report.ring()
        if batch.numbers or batch.unusable:
            log.info("batch stored", new=added, invalid=invalid, without_id=batch.unusable)


async def _is_first(
    connection: AsyncConnection, batch_id: str, at_ms: int, accepted: int, rejected: int
) -> bool:
    """Note a batch; False when it is on record, and its invalid numbers were reported with it."""
    if not batch_id:
        return True
    row = {
        "id": f"{Source.PANEL}:{batch_id}",
        "received_at_ms": at_ms,
        "accepted": accepted,
        "rejected": rejected,
    }
    return bool(await insert_new(connection, batches, batches.c.id, [row]))


async def _breaker(connection: AsyncConnection) -> Pause | None:
    """Give the breaker's pause; None when it does not hold."""
    held = {pause.kind: pause for pause in await in_force(connection)}
    return held.get(PauseKind.BREAKER)
