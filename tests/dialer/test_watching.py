from __future__ import annotations

import pytest

from dialer import gateway as adapter
from dialer.gateway import Gateway
from dialer.storage import Storage
from dialer.tables import AttemptState, attempts, do_not_call
from dialer_support.campaign import add, claimed, number, rows_of, rules, static_contact
from dialer_support.gateway import FakeGateway, served
from dialer_support.house import House
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2
from servicekit.channel import Peer
from servicekit.clock import SystemClock
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
