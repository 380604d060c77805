"""Half-open: an open breaker has one call made to see whether the cause is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from reporter.dialer_client import GrpcDialer
from reporter.keeper import BreakerKeeper, KeeperPlan
from reporter_support.breakers import (
    NO_TRIALS,
    QUICK,
    TRIALS,
    is_open,
    keeper_for,
    open_breaker,
    told_alerts,
)
from reporter_support.dialer import FakeDialer
from reporter_support.house import House
from reporter_support.reports import report_of
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2
from salehi.reporter.v1 import reporter_pb2
from support.timing import eventually, running


async def _is_closed(house: House) -> bool:
    return not await is_open(house)


def _attempted(
    house: House, result: calls_pb2.Result.ValueType, *, technical: bool = False, ago_s: float = 0
) -> reporter_pb2.ReportResultRequest:
    report = report_of(result, technical=technical, source="file")
    report.attempted_at.FromDatetime(house.clock.now() - timedelta(seconds=ago_s))
    return report


async def _looked(fake_dialer: FakeDialer) -> None:
    """Wait until the keeper has looked twice more."""
    before = fake_dialer.status_requests
    await eventually(lambda: fake_dialer.status_requests >= before + 2)


async def _granted(fake_dialer: FakeDialer, count: int) -> None:
    """Wait until so many trial calls were granted."""
    await eventually(lambda: fake_dialer.trials == count)


async def test_no_trial_unless_asked_for(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """Without a time set, an open breaker waits for a person for ever."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer).run()):
        await eventually(lambda: bool(fake_dialer.pauses))
        house.clock.advance(1_000_000)
        await _looked(fake_dialer)
    assert fake_dialer.resume_requests == []


async def test_good_trial_closes(house: House, dialer: GrpcDialer, fake_dialer: FakeDialer) -> None:
    """After the set time one call is granted; its good result lifts the pause, with one SMS."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer, TRIALS).run()):
        await eventually(lambda: bool(fake_dialer.pauses))
        house.clock.advance(59)
        await _looked(fake_dialer)
        assert fake_dialer.trials == 0
        house.clock.advance(2)
        await eventually(lambda: fake_dialer.trials == 1)
        await _looked(fake_dialer)
        assert fake_dialer.pauses.keys() == {dialer_pb2.PAUSE_KIND_BREAKER}
        late = _attempted(house, calls_pb2.RESULT_HANGUP, ago_s=60)
        inbound = _attempted(house, calls_pb2.RESULT_HANGUP)
        inbound.direction = calls_pb2.DIRECTION_INBOUND
        for report in (late, inbound):
            assert not (await house.ledger.record(report)).passed
        assert await is_open(house)
        trial = _attempted(house, calls_pb2.RESULT_MISSED)
        assert (await house.ledger.record(trial)).passed
        await eventually(lambda: _is_closed(house))
    assert fake_dialer.pauses == {}
    assert fake_dialer.trials == 1
    assert [kind for kind, _ in await told_alerts(house)] == ["opened"] * 2 + ["closed"] * 2


async def test_failed_trials_wait_longer(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """Each failed trial keeps it open without an SMS and doubles the wait, up to an hour."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer, TRIALS).run()):
        await eventually(lambda: bool(fake_dialer.pauses))
        for granted, wait_s in enumerate([60, 120, 240, 480, 960, 1920, 3600, 3600]):
            house.clock.advance(wait_s - 1)
            await _looked(fake_dialer)
            assert fake_dialer.trials == granted
            house.clock.advance(1)
            await _granted(fake_dialer, granted + 1)
            failed = _attempted(house, calls_pb2.RESULT_FAILED, technical=True)
            assert not (await house.ledger.record(failed)).opened
    assert await is_open(house)
    assert [kind for kind, _ in await told_alerts(house)] == ["opened"] * 2


async def test_trial_without_a_result(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """A trial call nobody hears of is granted again after ten minutes, also after a restart."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer, TRIALS).run()):
        await eventually(lambda: bool(fake_dialer.pauses))
        house.clock.advance(60)
        await eventually(lambda: fake_dialer.trials == 1)
        await _looked(fake_dialer)
    async with running(keeper_for(house, dialer, TRIALS).run()):
        house.clock.advance(599)
        await _looked(fake_dialer)
        assert fake_dialer.trials == 1
        house.clock.advance(1)
        await eventually(lambda: fake_dialer.trials == 2)


async def test_trial_waits_for_the_dialer(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """A dialer that is away when a trial is due is asked again when it is back."""
    await open_breaker(house)
    keeper = keeper_for(house, dialer, TRIALS)
    async with running(keeper.run()):
        await eventually(lambda: bool(fake_dialer.pauses))
        fake_dialer.away = True
        house.clock.advance(60)
        await eventually(lambda: keeper.failures >= 1)
        fake_dialer.away = False
        await eventually(lambda: fake_dialer.trials >= 1)


async def test_one_reporter_keeps_the_breaker(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """Of two reporters one speaks to the dialer; the other takes over when it falls silent."""
    plan = KeeperPlan("two", NO_TRIALS, pacing=QUICK, poll_s=0.01)
    other = BreakerKeeper(house.storage, house.clock, dialer, house.plan, lambda: None, plan)
    await open_breaker(house)
    async with running(keeper_for(house, dialer).run()):
        await eventually(lambda: fake_dialer.status_requests >= 1)
    silent_since = fake_dialer.status_requests
    async with running(other.run()):
        await asyncio.sleep(0.1)
        assert fake_dialer.status_requests == silent_since
        house.clock.advance(31)
        await eventually(lambda: fake_dialer.status_requests > silent_since)
    assert len(fake_dialer.pause_requests) == 1
