from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dialer import gateway as adapter
from dialer.attempts import Ending
from dialer.gateway import Gateway
from dialer.moments import now_ms
from dialer.tables import AttemptState, Stage, attempts, do_not_call, other_calls
from dialer.watching import take_in
from dialer_support.campaign import add, claimed, number, rows_of, rules, static_contact
from dialer_support.gateway import FakeGateway, served
from dialer_support.house import House
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2
from servicekit.channel import Peer
from servicekit.clock import SystemClock
from servicekit.storage import Storage
from support.timing import HandClock, eventually, running


@pytest.fixture
async def house(storage: Storage, gateway: Gateway, clock: HandClock) -> House:
    """Give a dialer with two waiting contacts."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    return House(storage, gateway, rules(), SystemClock())


async def ended(storage: Storage) -> list[str]:
    """Give the ids of ended attempts."""
    rows = await rows_of(storage, attempts)
    return [row["id"] for row in rows if row["state"] == AttemptState.ENDED]


async def test_the_end_of_a_call_ends_its_attempt_at_once(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """The stream's news of an end closes the attempt with its result and disposition."""
    claim = await claimed(house.claimer)
    await house.placer.place(claim)

    async def is_ended() -> bool:
        return await ended(storage) == [claim.attempt_id]

    async with running(house.watcher.run()):
        await eventually(lambda: len(fake_gateway.watches) == 1)
        fake_gateway.end(claim.attempt_id, calls_pb2.RESULT_MISSED, calls_pb2.DISPOSITION_BUSY)
        await eventually(is_ended)
    [attempt] = await rows_of(storage, attempts)
    assert attempt["result"] == calls_pb2.RESULT_MISSED
    assert attempt["disposition"] == calls_pb2.DISPOSITION_BUSY


async def test_a_spoken_opt_out_is_on_the_list_at_once(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """Who says on the phone not to be called again is on the list, outbound and inbound alike."""
    claim = await claimed(house.claimer)
    await house.placer.place(claim)
    inbound = fake_gateway.ring_in("1001", "09120000009")

    async def listed() -> bool:
        return {row["number"] for row in await rows_of(storage, do_not_call)} == {
            number(1),
            number(9),
        }

    async with running(house.watcher.run()):
        await eventually(lambda: len(fake_gateway.watches) == 1)
        for call_id in (claim.attempt_id, inbound):
            fake_gateway.end(
                call_id,
                calls_pb2.RESULT_NOT_INTERESTED,
                calls_pb2.DISPOSITION_ANSWERED,
                intent_pb2.INTENT_NUMBER_QUESTION,
                intent_pb2.INTENT_DO_NOT_CALL,
            )
        await eventually(listed)


async def test_the_stream_is_resumed_where_it_broke(
    storage: Storage, fake_gateway: FakeGateway, clock: HandClock
) -> None:
    """After a lost connection the watcher asks for what came after, and misses nothing."""
    await add(storage, [static_contact(1), static_contact(2)], clock)
    async with served(fake_gateway) as port:
        pass  # only to learn a free port
    async with Peer(f"127.0.0.1:{port}", adapter.SERVICE) as peer:
        house = House(storage, Gateway(peer), rules(), SystemClock())
        async with running(house.watcher.run()):
            async with served(fake_gateway, port):
                claim = await claimed(house.claimer)
                await house.placer.place(claim)
                await eventually(lambda: len(fake_gateway.watches) == 1)
                await eventually(house.bells.reconcile._rung.is_set)  # noqa: SLF001 - no other sign
            fake_gateway.end(claim.attempt_id)

            async def is_ended() -> bool:
                return await ended(storage) == [claim.attempt_id]

            async with served(fake_gateway, port):
                await eventually(is_ended)
    epochs = [epoch for epoch, _ in fake_gateway.watches]
    assert epochs[0] == ""
    assert epochs[-1] != ""


async def test_an_opt_out_spoken_while_nobody_watched_is_not_lost(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """An inbound call that came and went unseen is asked for by the time calls were last seen."""
    await house.ledger.mark_seen(now_ms(SystemClock()) - 60_000)
    call_id = fake_gateway.ring_in("1001", "09120000009")
    fake_gateway.end(
        call_id,
        calls_pb2.RESULT_NOT_INTERESTED,
        calls_pb2.DISPOSITION_ANSWERED,
        intent_pb2.INTENT_DO_NOT_CALL,
    )

    async def listed() -> bool:
        return [row["number"] for row in await rows_of(storage, do_not_call)] == [number(9)]

    async with running(house.watcher.run()):
        await eventually(listed)


async def test_the_stage_of_a_call_is_kept_as_it_comes_to_an_operator(
    house: House, fake_gateway: FakeGateway, storage: Storage
) -> None:
    """Answered, then with an operator: the attempt says so, and goes on saying so at its end."""
    claim = await claimed(house.claimer)
    await house.placer.place(claim)

    def at(stage: Stage) -> Callable[[], Awaitable[bool]]:
        async def is_there() -> bool:
            [attempt] = await rows_of(storage, attempts)
            return bool(attempt["stage"] == stage)

        return is_there

    async with running(house.watcher.run()):
        await eventually(lambda: len(fake_gateway.watches) == 1)
        fake_gateway.change(claim.attempt_id, calls_pb2.CALL_STATE_ANSWERED)
        await eventually(at(Stage.ANSWERED))
        fake_gateway.change(claim.attempt_id, calls_pb2.CALL_STATE_CALLING_OPERATOR)
        await eventually(at(Stage.WITH_OPERATOR))
        fake_gateway.end(claim.attempt_id, calls_pb2.RESULT_HANGUP)
        await eventually(lambda: _is_ended(storage))
    assert await at(Stage.WITH_OPERATOR)()


async def test_what_changes_nothing_on_record_is_no_news(
    house: House, fake_gateway: FakeGateway
) -> None:
    """Of a call asked for, dialing is known; that it left, was answered or ended is news, once."""
    claim = await claimed(house.claimer)
    ledger, told = house.ledger, []

    async def tell(state: calls_pb2.CallState.ValueType, *, has_left: bool = True) -> None:
        call = calls_pb2.Call(attempt_id=claim.attempt_id, state=state)
        if has_left:
            call.originated_at.GetCurrentTime()
        if state in {calls_pb2.CALL_STATE_ANSWERED, calls_pb2.CALL_STATE_ENDED}:
            call.answered_at.GetCurrentTime()
        told.append(ledger.is_news(call))
        if told[-1]:
            await take_in(call, ledger, house.gateway)

    ledger.asked_for(claim.attempt_id)
    await tell(calls_pb2.CALL_STATE_DIALING, has_left=False)
    await tell(calls_pb2.CALL_STATE_DIALING)
    await tell(calls_pb2.CALL_STATE_RINGING)
    await tell(calls_pb2.CALL_STATE_ANSWERED)
    await tell(calls_pb2.CALL_STATE_ANSWERED)
    await tell(calls_pb2.CALL_STATE_ENDED)
    await tell(calls_pb2.CALL_STATE_ANSWERED)
    assert told == [False, True, False, True, False, True, True]
    assert fake_gateway.hung_up == []  # it is not known there


async def test_nothing_is_known_any_more_of_a_call_taken_off_the_record(
    house: House, storage: Storage
) -> None:
    """An attempt withdrawn or ended, and an inbound call forgotten, are news if they turn up."""
    first, second = await claimed(house.claimer), await claimed(house.claimer)
    inbound = calls_pb2.Call(
        attempt_id="inbound",
        direction=calls_pb2.DIRECTION_INBOUND,
        line="1001",
        state=calls_pb2.CALL_STATE_ANSWERED,
    )
    for claim in (first, second):
        house.ledger.asked_for(claim.attempt_id)
    await take_in(inbound, house.ledger, house.gateway)
    assert not house.ledger.is_news(inbound)
    await house.ledger.withdraw(first.attempt_id)
    await house.ledger.end(second.attempt_id, Ending.failed("unknown_outcome"))
    await house.ledger.forget_other_calls(["inbound"])
    for call_id in (first.attempt_id, second.attempt_id, "inbound"):
        assert house.ledger.is_news(calls_pb2.Call(attempt_id=call_id, state=inbound.state))
    await take_in(inbound, house.ledger, house.gateway)
    assert len(await rows_of(storage, other_calls)) == 1


async def test_a_call_that_has_left_wakes_the_campaign_when_its_line_has_rested(
    storage: Storage, gateway: Gateway, clock: HandClock
) -> None:
    """Once it is known to have left, its line is tried after the spacing, not a second later."""
    await add(storage, [static_contact(1)], clock)
    house = House(storage, gateway, rules(spacing_ms=50), clock)
    claim = await claimed(house.claimer)
    call = calls_pb2.Call(attempt_id=claim.attempt_id, state=calls_pb2.CALL_STATE_DIALING)
    call.originated_at.GetCurrentTime()
    now_s = asyncio.get_running_loop().time
    began_s = now_s()
    await take_in(call, house.ledger, gateway)
    async with asyncio.timeout(10):
        await house.bells.dial.wait(60)
    assert now_s() - began_s >= 0.15  # the spacing, after the 0.1 s that an originate may take


async def _is_ended(storage: Storage) -> bool:
    return len(await ended(storage)) == 1
