from __future__ import annotations

import pytest

from dialer.claim import Refusal
from dialer.gateway import Gateway
from dialer.limits import Line, LineLimits
from dialer.tables import ContactState, attempts, contacts, reports
from dialer_support.campaign import add, claimed, refused, rows_of, rules, static_contact
from dialer_support.gateway import FakeGateway, Habit
from dialer_support.house import House
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.storage import Storage
from support.timing import HandClock


@pytest.fixture
async def house(storage: Storage, gateway: Gateway, clock: HandClock) -> House:
    """Give a dialer with two waiting contacts and one line."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    return House(storage, gateway, rules(Line("1001", LineLimits(1, 100, 100))), clock)


async def test_the_gateway_is_asked_for_exactly_the_claimed_call(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """The request carries the attempt's id, the dial string, the line and the person."""
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    [request] = fake_gateway.requests
    assert request.attempt_id == claim.attempt_id
    assert request.endpoint == "PJSIP/100109120000001@trunk"
    assert (request.caller_id, request.line, request.ring_timeout_s) == ("1001", "1001", 30)
    assert request.contact == calls_pb2.Contact(
        source="static", number="+989120000001", national_number="09120000001"
    )


@pytest.mark.parametrize("habit", [Habit.REFUSE, Habit.NOT_READY])
async def test_a_refusal_is_no_attempt(
    house: House, fake_gateway: FakeGateway, storage: Storage, clock: HandClock, habit: Habit
) -> None:
    """Refused for lack of capacity, the contact waits again, nothing counts, and we ask later."""
    fake_gateway.habit = habit
    await house.placer.place(await claimed(house.claimer))
    assert await rows_of(storage, attempts) == []
    first = (await rows_of(storage, contacts))[0]
    assert (first["state"], first["attempts_made"]) == (ContactState.WAITING, 0)
    assert house.patience.remaining_s() > 0
    fake_gateway.habit = Habit.PLACE
    clock.advance(1)
    again = await claimed(house.claimer)
    assert again.contact.id == first["id"]


async def test_a_request_that_can_never_be_taken_ends_the_attempt(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """An invalid request is not repeated: the attempt fails, and the dialer reports it."""
    fake_gateway.habit = Habit.REJECT
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    [attempt] = await rows_of(storage, attempts)
    assert (attempt["state"], attempt["reason"]) == ("ended", "invalid_request")
    [kept] = await rows_of(storage, reports)
    report = ReportResultRequest.FromString(kept["body"])
    assert report.attempt_id == claim.attempt_id
    assert report.outcome.technical


async def test_a_lost_answer_keeps_the_slot_until_the_gateway_tells(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """Dialled but unanswered, the call is found by asking, and never asked for again."""
    fake_gateway.habit = Habit.LOSE_ANSWER
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    assert (await refused(house.claimer)).why is Refusal.NO_ROOM
    await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert (attempt["id"], attempt["state"]) == (claim.attempt_id, "placed")
    assert len(fake_gateway.requests) == 1


async def test_a_lost_request_is_closed_as_unknown_and_never_redialled(
    house: House, fake_gateway: FakeGateway, storage: Storage, clock: HandClock
) -> None:
    """When nobody knows the attempt all through the grace, it ends unknown, reported by us."""
    fake_gateway.habit = Habit.LOSE_REQUEST
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    await house.reconciler.look()
    clock.advance(9.9)
    await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert attempt["state"] == "claimed"
    clock.advance(0.1)
    await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert (attempt["state"], attempt["reason"]) == ("ended", "unknown_outcome")
    [kept] = await rows_of(storage, reports)
    assert kept["attempt_id"] == claim.attempt_id
    clock.advance(1)
    assert (await claimed(house.claimer)).contact.id != claim.contact.id


async def test_a_stale_claim_is_not_dialled(
    house: House, fake_gateway: FakeGateway, storage: Storage, clock: HandClock
) -> None:
    """A process that stood still after its claim does not dial on what it checked long ago."""
    claim = await claimed(house.claimer)
    clock.advance(4)
    await house.placer.place(claim)
    assert fake_gateway.requests == []
    assert await rows_of(storage, attempts) == []
