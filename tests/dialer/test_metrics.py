"""What the dialer tells Prometheus of drift and of calls that last."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from dialer.gateway import Gateway
from dialer.status import StatusReader
from dialer_support.campaign import add, claimed, rules, static_contact
from dialer_support.gateway import FakeGateway
from dialer_support.house import House
from salehi.calls.v1 import calls_pb2
from servicekit.storage import Storage
from support.timing import HandClock


@pytest.fixture
async def house(storage: Storage, gateway: Gateway, clock: HandClock) -> House:
    """Give a dialer with a waiting contact."""
    await add(storage, [static_contact(1)], clock)
    return House(storage, gateway, rules(), clock)


def drift(kind: str) -> float:
    """Give how much drift of a kind was found so far."""
    return REGISTRY.get_sample_value("salehi_dialer_drift_total", {"kind": kind}) or 0.0


async def test_a_call_that_came_late_is_drift(
    house: House, fake_gateway: FakeGateway, clock: HandClock
) -> None:
    """An attempt nobody knows is counted when it is closed, and its call when it turns up."""
    lost, late, others = drift("lost_attempt"), drift("late_call"), drift("lost_call")
    claim = await claimed(house.claimer)
    await house.reconciler.look()
    clock.advance(11)
    await house.reconciler.look()
    assert (drift("lost_attempt"), drift("late_call")) == (lost + 1, late)
    clock.advance(-11)  # as if the request had been under way all the time
    await house.placer.place(claim)
    await house.reconciler.look()
    assert (drift("lost_attempt"), drift("late_call")) == (lost + 1, late + 1)
    assert drift("lost_call") == others


async def test_an_inbound_call_is_news_and_then_lost(
    house: House, fake_gateway: FakeGateway, clock: HandClock
) -> None:
    """A call the stream did not tell of is news once, and drift again when nobody knows it."""
    news, lost = drift("news"), drift("lost_call")
    call_id = fake_gateway.ring_in("1001", "09120000009")
    await house.reconciler.look()
    await house.reconciler.look()
    assert (drift("news"), drift("lost_call")) == (news + 1, lost)
    del fake_gateway.calls[call_id]
    await house.reconciler.look()
    clock.advance(10)
    await house.reconciler.look()
    assert (drift("news"), drift("lost_call")) == (news + 1, lost + 1)


async def test_the_age_of_the_oldest_call_is_known(
    house: House, fake_gateway: FakeGateway, storage: Storage, clock: HandClock
) -> None:
    """Attempts and inbound calls count from their beginning until they end."""
    status = StatusReader(storage, rules(), clock)
    assert (await status.read()).oldest_call_s == 0
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    clock.advance(100)
    fake_gateway.ring_in("1001", "09120000009")
    await house.reconciler.look()
    clock.advance(20)
    assert (await status.read()).oldest_call_s == 120
    fake_gateway.change(claim.attempt_id, calls_pb2.CALL_STATE_ANSWERED)
    await house.reconciler.look()
    assert (await status.read()).oldest_call_s == 120
    fake_gateway.change(claim.attempt_id, calls_pb2.CALL_STATE_CONNECTED)
    await house.reconciler.look()
    now = await status.read()
    assert (now.oldest_call_s, now.oldest_talk_s) == (20, 120)
    fake_gateway.end(claim.attempt_id)
    await house.reconciler.look()
    now = await status.read()
    assert (now.oldest_call_s, now.oldest_talk_s) == (20, 0)


def test_every_disposition_is_counted_from_zero() -> None:
    """Each way an attempt can end is a series from the start, so that its first one counts."""
    for name in calls_pb2.Disposition.keys():  # noqa: SIM118 - not a dict
        labels = {"disposition": name.removeprefix("DISPOSITION_").lower()}
        assert REGISTRY.get_sample_value("salehi_dialer_attempts_total", labels) is not None, name
