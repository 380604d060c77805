from __future__ import annotations

import asyncio
import time
from functools import partial

from prometheus_client import REGISTRY

from dialer.attempts import Ending
from dialer.gateway import SERVICE, Gateway
from dialer.limits import Line, LineLimits
from dialer.pauses import Pause, PauseKind, hold, lift
from dialer.tables import attempts
from dialer_support.campaign import add, rows_of, rules, static_contact
from dialer_support.gateway import FakeGateway, Habit, served
from dialer_support.house import House
from salehi.calls.v1 import calls_pb2
from servicekit.channel import Peer
from servicekit.clock import SystemClock
from servicekit.storage import Storage
from support.timing import HandClock, eventually, running

SLOW = (Line("1001", LineLimits(1, 1000, 1000)),)
ANSWERED = Ending(calls_pb2.RESULT_HANGUP)


async def fill(storage: Storage, count: int) -> None:
    """Add contacts that are due whatever the machine's clock says."""
    await add(storage, [static_contact(index) for index in range(count)], HandClock())


def _has_calls(fake_gateway: FakeGateway, count: int) -> bool:
    return len(fake_gateway.calls) == count


async def test_a_freed_line_is_used_at_once(
    storage: Storage, gateway: Gateway, fake_gateway: FakeGateway
) -> None:
    """With one slot, the next call follows the end of the one before without a poll's delay."""
    await fill(storage, 3)
    house = House(storage, gateway, rules(*SLOW), SystemClock())
    async with running(house.watcher.run(), house.campaign.run()):
        await eventually(lambda: len(fake_gateway.watches) == 1)
        for count in (1, 2, 3):
            await eventually(partial(_has_calls, fake_gateway, count), within_s=2)
            began = time.monotonic()
            fake_gateway.end(list(fake_gateway.calls)[-1])
        assert time.monotonic() - began < 1
        await eventually(lambda: house.campaign.is_hungry)
    assert len(fake_gateway.requests) == 3


async def test_an_end_is_no_reason_to_try_while_the_line_rests(
    storage: Storage, gateway: Gateway, fake_gateway: FakeGateway
) -> None:
    """With only time to wait for, calls that end cost no further look at the lines."""
    await fill(storage, 2)
    house = House(storage, gateway, rules(spacing_ms=60_000), SystemClock())

    def looks() -> float:
        return REGISTRY.get_sample_value("salehi_dialer_not_now_total", {"why": "spacing"}) or 0.0

    async def is_ended() -> bool:
        return [row["state"] for row in await rows_of(storage, attempts)] == ["ended"]

    before = looks()
    async with running(house.watcher.run(), house.campaign.run()):
        await eventually(lambda: len(fake_gateway.calls) == 1 and looks() == before + 1)
        fake_gateway.end(next(iter(fake_gateway.calls)))
        await eventually(is_ended)
        await asyncio.sleep(0.2)
    assert looks() == before + 1


async def test_a_stop_stops_claiming_and_lets_requests_finish(
    storage: Storage, gateway: Gateway, fake_gateway: FakeGateway
) -> None:
    """After a stop no further call is asked for, and no claim is left half done."""
    await fill(storage, 50)
    house = House(storage, gateway, rules(spacing_ms=20), SystemClock())
    campaign = asyncio.create_task(house.campaign.run())
    await eventually(lambda: len(fake_gateway.requests) >= 2)
    house.campaign.stop()
    await asyncio.wait_for(campaign, 2)
    asked = [request.attempt_id for request in fake_gateway.requests]
    assert sorted(asked) == [row["id"] for row in await rows_of(storage, attempts)]
    assert len(asked) < 50


async def test_the_gateway_is_waited_for_and_said_once(
    storage: Storage, fake_gateway: FakeGateway
) -> None:
    """Without a gateway nothing is claimed; when it comes the first call leaves within seconds."""
    await fill(storage, 1)
    async with served(fake_gateway) as port:
        pass  # only to learn a free port
    async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
        house = House(storage, Gateway(peer), rules(), SystemClock())
        async with running(house.campaign.run()):
            expected = f"waiting for ari-gateway at 127.0.0.1:{port}"
            await eventually(lambda: house.campaign.waiting_for == expected)
            assert await rows_of(storage, attempts) == []
            async with served(fake_gateway, port):
                await eventually(lambda: len(fake_gateway.calls) == 1)


async def test_nothing_is_claimed_while_the_gateway_is_not_ready(
    storage: Storage, gateway: Gateway, fake_gateway: FakeGateway
) -> None:
    """A gateway that lacks a prompt gets no request, and its reason is ours to tell."""
    await fill(storage, 1)
    fake_gateway.obstacle = "the prompt hello cannot be played"
    house = House(storage, gateway, rules(), SystemClock())
    async with running(house.campaign.run()):
        await eventually(lambda: fake_gateway.obstacle in house.campaign.waiting_for)
        assert fake_gateway.requests == []
        fake_gateway.obstacle = ""
        await eventually(lambda: len(fake_gateway.calls) == 1, within_s=2)


async def test_refusals_slow_the_campaign_down(
    storage: Storage, gateway: Gateway, fake_gateway: FakeGateway
) -> None:
    """A gateway without capacity is asked ever less often, and nobody is lost by it."""
    await fill(storage, 1)
    fake_gateway.habit = Habit.REFUSE
    house = House(storage, gateway, rules(), SystemClock())
    async with running(house.campaign.run()):
        await asyncio.sleep(1.2)  # at 0, 0.25 and 0.75 s
        assert 2 <= len(fake_gateway.requests) <= 4
        fake_gateway.habit = Habit.PLACE
        await eventually(lambda: len(fake_gateway.calls) == 1)


async def test_a_pause_takes_effect_at_once_and_a_lift_too(
    storage: Storage, gateway: Gateway, fake_gateway: FakeGateway
) -> None:
    """After a pause no originate leaves; after the lift and its bell the campaign goes on."""
    await fill(storage, 50)
    house = House(storage, gateway, rules(spacing_ms=10), SystemClock())
    async with running(house.campaign.run()):
        await eventually(lambda: len(fake_gateway.requests) >= 1)
        async with storage.transaction() as connection:
            await hold(connection, Pause(PauseKind.MANUAL, "stop", "me", 0))
        await asyncio.sleep(0.1)  # what was claimed before the pause may still leave
        asked = len(fake_gateway.requests)
        await asyncio.sleep(0.4)
        assert len(fake_gateway.requests) == asked
        async with storage.transaction() as connection:
            await lift(connection, [PauseKind.MANUAL])
        house.bells.dial.ring()
        await eventually(lambda: len(fake_gateway.requests) > asked, within_s=1)
