"""The reporter's parts, put together on one database and a clock in the test's hand."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from reporter.alerts import AlertBook, AlertPlan
from reporter.archive import Archive, KeptResult
from reporter.breaker import BreakerRule
from reporter.callbacks import CallbackRule, Callbacks
from reporter.dead_letters import DeadLetters
from reporter.erasing import Eraser
from reporter.ledger import Ledger
from reporter.numbers import NumberForms
from reporter.outbox import Delivery, Outbox, Settlement
from reporter.retention import RetentionRule, RetentionWorker
from reporter.service import Kept
from reporter.tables import DeliveryStatus
from servicekit.storage import Storage
from support.timing import HandClock

ADMINS = ("09120000001", "09120000002")
THRESHOLD = 5
LEASE_S = 60.0
FORMS = NumberForms("IR")


@dataclass(frozen=True)
class House:
    """The parts that share one database."""

    clock: HandClock
    engine: AsyncEngine
    storage: Storage
    plan: AlertPlan
    ledger: Ledger
    outbox: Outbox
    alerts: AlertBook
    archive: Archive
    dead_letters: DeadLetters
    callbacks: Callbacks
    eraser: Eraser

    @property
    def kept(self) -> Kept:
        """What is kept, as the service shows it."""
        return Kept(self.archive, self.dead_letters, self.callbacks, self.eraser, FORMS)

    def retention(self, rule: RetentionRule, *, chunk: int = 500) -> RetentionWorker:
        """Give the worker that forgets by this rule."""
        return RetentionWorker(self.storage, self.clock, rule, chunk=chunk)

    async def lease_one(self) -> Delivery:
        """Take the only delivery that is due."""
        (delivery,) = await self.outbox.lease(10, due_only=True)
        return delivery

    async def settle(self, status: DeliveryStatus, reason: str = "", wait_s: float = 0.0) -> None:
        """Take the only delivery that is due, and say what it came to."""
        delivery = await self.lease_one()
        await self.outbox.settle([Settlement(delivery, status, reason, wait_s)])

    async def find(self, attempt_id: str) -> KeptResult:
        """Give one attempt's result."""
        kept, _ = await self.archive.page(size=10, attempt_id=attempt_id)
        (result,) = kept
        return result


def house_on(engine: AsyncEngine, clock: HandClock | None = None) -> House:
    """Put the parts together, as after a start of the service."""
    clock = clock or HandClock()
    storage = Storage(engine)
    plan = AlertPlan(ADMINS, "en")
    rule = BreakerRule(threshold=THRESHOLD)
    return House(
        clock=clock,
        engine=engine,
        storage=storage,
        plan=plan,
        ledger=Ledger(storage, clock, rule, plan, CallbackRule(FORMS)),
        outbox=Outbox(storage, clock, lease_s=LEASE_S),
        alerts=AlertBook(storage, clock),
        archive=Archive(storage),
        dead_letters=DeadLetters(storage, clock),
        callbacks=Callbacks(storage, clock, FORMS),
        eraser=Eraser(storage, FORMS),
    )
