"""The failure breaker: when it opens, what it asks of the dialer, when it closes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reporter.breaker import BreakerRule, BreakerState, read_breaker
from reporter.dialer_client import GrpcDialer
from reporter_support.breakers import is_open, keeper_for, open_breaker, told_alerts
from reporter_support.dialer import FakeDialer
from reporter_support.house import THRESHOLD, House
from reporter_support.reports import failure, report_of
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2
from support.timing import eventually, running


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 6))
def test_opens_at_the_first_full_row(technical: list[bool], threshold: int) -> None:
    """It opens exactly at the first run of `threshold` technical failures, and only once."""
    state, opened_at = BreakerState(), None
    for index, is_technical in enumerate(technical):
        report = report_of(calls_pb2.RESULT_FAILED, technical=is_technical)
        state = BreakerRule(threshold).after(state, report, now_ms=1)
        if state.is_open and opened_at is None:
            opened_at = index
    runs = [
        index
        for index in range(len(technical))
        if index + 1 >= threshold and all(technical[index + 1 - threshold : index + 1])
    ]
    assert opened_at == (runs[0] if runs else None)
    assert state.opening == (1 if runs else 0)


async def test_customers_choices_are_no_failures(house: House) -> None:
    """Busy, no answer and a no, however many, never open the breaker."""
    for _ in range(20):
        await house.ledger.record(report_of(calls_pb2.RESULT_MISSED, reason="busy"))
        await house.ledger.record(report_of(calls_pb2.RESULT_NOT_INTERESTED))
    assert not await is_open(house)


async def test_success_between_failures_resets(house: House) -> None:
    """Four failures, one normal result and four failures keep dialing on."""
    for _ in range(THRESHOLD - 1):
        await house.ledger.record(failure())
    await house.ledger.record(report_of(calls_pb2.RESULT_HANGUP))
    for _ in range(THRESHOLD - 1):
        await house.ledger.record(failure())
    assert not await is_open(house)


async def test_repeated_report_is_no_second_failure(house: House) -> None:
    """One failed attempt reported ten times counts once."""
    report = failure()
    for _ in range(10):
        await house.ledger.record(report)
    assert (await read_breaker(house.storage)).failures == 1


async def test_empty_account_opens_at_once(house: House) -> None:
    """One "out of credit" is enough, and the alert says so."""
    recorded = await house.ledger.record(
        report_of(calls_pb2.RESULT_HANGUP, out_of_credit=("stt", "llm"), source="file")
    )
    assert recorded.opened
    alert = await house.alerts.take_due()
    assert alert is not None
    assert "out of credit: stt and llm" in alert.text


async def test_one_alert_per_admin_and_opening(house: House) -> None:
    """Thirty failures in a row send each admin one SMS that names the cause."""
    for _ in range(30):
        await house.ledger.record(failure("trunk_down"))
    first = await house.alerts.take_due()
    assert first is not None
    assert "5 technical failures" in first.text
    assert "trunk_down" in first.text
    assert [kind for kind, _ in await told_alerts(house)] == ["opened"]


async def test_alert_cannot_carry_a_link(house: House) -> None:
    """Whatever a reason contains, the SMS has nothing a gateway takes for a link."""
    empty = report_of(out_of_credit=("https://pay.example.com/x",), source="file")
    await house.ledger.record(empty)
    alert = await house.alerts.take_due()
    assert alert is not None
    assert "://" not in alert.text
    assert "example.com" not in alert.text


async def test_pauses_the_dialer(house: House, dialer: GrpcDialer, fake_dialer: FakeDialer) -> None:
    """An open breaker pauses the dialer once, under its own kind, naming the cause."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer).run()):
        await eventually(lambda: fake_dialer.status_requests >= 3)
    (request,) = fake_dialer.pause_requests
    assert request.kind == dialer_pb2.PAUSE_KIND_BREAKER
    assert "congestion" in request.reason
    assert await is_open(house)


async def test_pause_waits_for_the_dialer(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """A dialer that is away is asked again until it has stored the pause."""
    fake_dialer.away = True
    await open_breaker(house)
    keeper = keeper_for(house, dialer)
    async with running(keeper.run()):
        await eventually(lambda: keeper.failures >= 2)
        fake_dialer.away = False
        await eventually(lambda: bool(fake_dialer.pauses))
    assert fake_dialer.pauses.keys() == {dialer_pb2.PAUSE_KIND_BREAKER}


async def test_pause_is_taken_up_after_a_restart(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """A reporter that died between opening and pausing pauses when it is back, alerting once."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer).run()):
        await eventually(lambda: bool(fake_dialer.pauses))
        await eventually(lambda: fake_dialer.status_requests >= 1)
    async with running(keeper_for(house, dialer).run()):
        before = fake_dialer.status_requests
        await eventually(lambda: fake_dialer.status_requests >= before + 2)
    assert len(fake_dialer.pause_requests) == 1
    assert len(await told_alerts(house)) == 2


async def test_closes_when_the_pause_is_lifted(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """Lifting the dialer's pause closes the breaker, tells each admin once, and counts anew."""
    await open_breaker(house)
    async with running(keeper_for(house, dialer).run()):
        await eventually(lambda: fake_dialer.status_requests >= 1)
        assert len(await told_alerts(house)) == 2
        fake_dialer.pauses.clear()
        await eventually(lambda: _is_closed(house))
    assert [kind for kind, _ in await told_alerts(house)] == ["closed", "closed"]
    assert not (await house.ledger.record(failure())).opened
    for _ in range(THRESHOLD - 1):
        await house.ledger.record(failure())
    assert await is_open(house)
    assert [kind for kind, _ in await told_alerts(house)] == ["opened", "opened"]


async def test_a_persons_pause_does_not_hold_it_open(
    house: House, dialer: GrpcDialer, fake_dialer: FakeDialer
) -> None:
    """Only the breaker's own pause counts: a manual one beside it changes nothing."""
    fake_dialer.pauses[dialer_pb2.PAUSE_KIND_MANUAL] = "lunch"
    await open_breaker(house)
    async with running(keeper_for(house, dialer).run()):
        await eventually(lambda: fake_dialer.status_requests >= 1)
        del fake_dialer.pauses[dialer_pb2.PAUSE_KIND_BREAKER]
        await eventually(lambda: _is_closed(house))


async def _is_closed(house: House) -> bool:
    return not await is_open(house)
