"""The failure breaker as tests need it: opened, kept, and what it told."""

from __future__ import annotations

from reporter.breaker import TrialPlan, read_breaker
from reporter.dialer_client import GrpcDialer
from reporter.keeper import BreakerKeeper, KeeperPlan
from reporter.pacing import Pacing
from reporter_support.house import THRESHOLD, House
from reporter_support.reports import failure

QUICK = Pacing(first_s=0.01, longest_s=0.02)
NO_TRIALS = TrialPlan()
TRIALS = TrialPlan(first_s=60)


def keeper_for(house: House, dialer: GrpcDialer, trials: TrialPlan = NO_TRIALS) -> BreakerKeeper:
    """Make a keeper that looks often."""
    plan = KeeperPlan("one", trials, pacing=QUICK, poll_s=0.01)
    return BreakerKeeper(house.storage, house.clock, dialer, house.plan, lambda: None, plan)


async def open_breaker(house: House) -> None:
    """Fail as often as opens the breaker."""
    for _ in range(THRESHOLD):
        await house.ledger.record(failure())


async def is_open(house: House) -> bool:
    """Say whether the breaker is open."""
    return (await read_breaker(house.storage)).is_open


async def told_alerts(house: House) -> list[tuple[str, str]]:
    """Take every stored SMS: what it tells, and whom."""
    told = []
    while (alert := await house.alerts.take_due()) is not None:
        told.append((alert.kind.value, alert.recipient))
    return told
