"""The reporter's parts, put together on one database and a clock in the test's hand."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from reporter.alerts import AlertBook, AlertPlan
from reporter.breaker import BreakerRule
from reporter.ledger import Ledger
from reporter.outbox import Outbox
from reporter.storage import Storage
from support.timing import HandClock

ADMINS = ("09120000001", "09120000002")
THRESHOLD = 5


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


def house_on(engine: AsyncEngine) -> House:
    """Put the parts together, as after a start of the service."""
    clock = HandClock()
    storage = Storage(engine)
    plan = AlertPlan(ADMINS, "en")
    return House(
        clock=clock,
        engine=engine,
        storage=storage,
        plan=plan,
        ledger=Ledger(storage, clock, BreakerRule(threshold=THRESHOLD), plan),
        outbox=Outbox(storage, clock),
        alerts=AlertBook(storage, clock),
    )
