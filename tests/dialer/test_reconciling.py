from __future__ import annotations

import pytest

from dialer.errors import GatewayUnavailable
from dialer.gateway import SERVICE, Gateway
from dialer.tables import attempts, do_not_call, other_calls, reports
from dialer_support.campaign import add, claimed, rows_of, rules, static_contact
from dialer_support.gateway import FakeGateway, Habit, served
from dialer_support.house import House
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2
from servicekit.channel import Peer
from servicekit.storage import Storage
from support.timing import HandClock


@pytest.fixture
async def house(storage: Storage, gateway: Gateway, clock: HandClock) -> House:
    """Give a dialer with a waiting contact."""
    await add(storage, [static_contact(1)], clock)
    return House(storage, gateway, rules(), clock)


async def test_an_end_nobody_told_is_found(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """A call whose end was lost with the stream is closed at the next look, unreported by us."""
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    fake_gateway.end(claim.attempt_id)
    await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert attempt["state"] == "ended"
    assert await rows_of(storage, reports) == []


async def test_a_live_call_is_left_alone_however_long(
    house: House, storage: Storage, clock: HandClock
) -> None:
    """A slot is never freed while the gateway says that the call is alive."""
    await house.placer.place(await claimed(house.claimer))
    for _ in range(3):
        await house.reconciler.look()
        clock.advance(3600)
    [attempt] = await rows_of(storage, attempts)
    assert attempt["state"] == "placed"


async def test_a_gateway_that_forgot_a_call_gets_the_grace_again(
    house: House, fake_gateway: FakeGateway, storage: Storage, clock: HandClock
) -> None:
    """A call missing for a moment (its gateway restarts) is not given up, and its end counts."""
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    call = fake_gateway.calls.pop(claim.attempt_id)
    await house.reconciler.look()
    clock.advance(8)
    fake_gateway.calls[claim.attempt_id] = call
    await house.reconciler.look()
    del fake_gateway.calls[claim.attempt_id]
    clock.advance(8)
    await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert attempt["state"] == "placed"
    clock.advance(10)
    await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert (attempt["state"], attempt["reason"]) == ("ended", "unknown_outcome")


async def test_silence_of_the_gateway_concludes_nothing(storage: Storage, clock: HandClock) -> None:
    """As long as the gateway does not answer, no attempt is closed."""
    await add(storage, [static_contact(1)], clock)
    async with Peer("127.0.0.1:1", SERVICE) as peer:
        house = House(storage, Gateway(peer), rules(), clock)
        await claimed(house.claimer)
        for _ in range(2):
            with pytest.raises(GatewayUnavailable):
                await house.reconciler.look()
            clock.advance(60)
    [attempt] = await rows_of(storage, attempts)
    assert attempt["state"] == "claimed"


async def test_a_call_that_turns_up_after_its_attempt_was_closed_is_ended(
    house: House, fake_gateway: FakeGateway, clock: HandClock
) -> None:
    """A request delivered absurdly late does not become a call that nobody counts."""
    claim = await claimed(house.claimer)
    await house.reconciler.look()
    clock.advance(11)
    await house.reconciler.look()
    clock.advance(-11)  # as if the request had been under way all the time
    await house.placer.place(claim)
    await house.reconciler.look()
    assert fake_gateway.hung_up == [claim.attempt_id]


async def test_inbound_calls_come_and_go(
    house: House, fake_gateway: FakeGateway, storage: Storage, clock: HandClock
) -> None:
    """An inbound call is forgotten once the gateway has not known it all through the grace."""
    call_id = fake_gateway.ring_in("1001", "09120000009")
    await house.reconciler.look()
    [other] = await rows_of(storage, other_calls)
    assert (other["id"], other["line"], other["number"]) == (call_id, "1001", "+989120000009")
    del fake_gateway.calls[call_id]
    await house.reconciler.look()
    clock.advance(9.9)
    await house.reconciler.look()
    assert len(await rows_of(storage, other_calls)) == 1  # a gateway may be taking up its calls
    clock.advance(0.1)
    await house.reconciler.look()
    assert await rows_of(storage, other_calls) == []


async def test_the_grace_does_not_run_while_the_gateway_is_silent(
    storage: Storage, fake_gateway: FakeGateway, clock: HandClock
) -> None:
    """A gateway seen once without a call, then away for long, has all the grace at its return."""
    await add(storage, [static_contact(1)], clock)
    fake_gateway.habit = Habit.LOSE_REQUEST
    async with served(fake_gateway) as port:
        pass  # only to learn a free port
    async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
        gateway = Gateway(peer)
        house = House(storage, gateway, rules(), clock)
        async with served(fake_gateway, port):
            await gateway.connected()
            await house.placer.place(await claimed(house.claimer))
            await house.reconciler.look()
        clock.advance(20)
        with pytest.raises(GatewayUnavailable):
            await house.reconciler.look()
        async with served(fake_gateway, port):
            await gateway.connected()
            await house.reconciler.look()
    [attempt] = await rows_of(storage, attempts)
    assert attempt["state"] == "claimed"


async def test_an_opt_out_is_not_lost_with_the_stream(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """An inbound caller's opt-out is found by asking, though nobody watched the call end."""
    call_id = fake_gateway.ring_in("1001", "09120000009")
    await house.reconciler.look()
    fake_gateway.end(
        call_id,
        calls_pb2.RESULT_NOT_INTERESTED,
        calls_pb2.DISPOSITION_ANSWERED,
        intent_pb2.INTENT_DO_NOT_CALL,
    )
    await house.reconciler.look()
    assert [row["number"] for row in await rows_of(storage, do_not_call)] == ["+989120000009"]
    assert await rows_of(storage, other_calls) == []
