"""Who gets a place, and who is told at once that there is none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from speech.capacity import Capacity
from speech.errors import AtCapacity
from speech_support.time import LoopClock, in_virtual_time


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> datetime:
        """Give some date."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        """Give where the hand stands."""
        return self.at_s


async def _use(capacity: Capacity, clock: HandClock, held_s: float) -> None:
    async with capacity.place(60.0):
        clock.at_s += held_s


async def test_who_cannot_be_served_in_time_is_refused_at_once() -> None:
    """With all places taken and 2 s of work ahead, 3 s of patience are refused without a wait."""
    clock = HandClock()
    capacity = Capacity("test", 1, clock)
    await _use(capacity, clock, 2.0)
    async with capacity.place(60.0):
        with pytest.raises(AtCapacity, match=r"no room within 3\.0 s"):
            capacity.expect_place(3.0)
        capacity.expect_place(4.5)
    capacity.expect_place(0.5)


async def test_a_place_is_taken_over_when_it_comes_free() -> None:
    """Who waits gets the place as soon as the holder leaves."""
    capacity = Capacity("test", 1)
    order: list[str] = []

    async def work(name: str, gate: asyncio.Event) -> None:
        async with capacity.place(60.0):
            order.append(name)
            await gate.wait()

    first_may_go, second_may_go = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("first", first_may_go))
        await asyncio.sleep(0)
        tasks.create_task(work("second", second_may_go))
        await asyncio.sleep(0)
        assert order == ["first"]
        second_may_go.set()
        first_may_go.set()
    assert order == ["first", "second"]


async def test_places_survive_errors_and_cancellation() -> None:
    """A holder that fails or is cancelled gives its place back."""
    capacity = Capacity("test", 1)
    with pytest.raises(ZeroDivisionError):
        async with capacity.place(60.0):
            raise ZeroDivisionError
    holder = asyncio.create_task(_hold(capacity))
    await asyncio.sleep(0)
    waiter = asyncio.create_task(_hold(capacity))
    await asyncio.sleep(0)
    waiter.cancel()
    holder.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    async with capacity.place(0.5):
        pass


async def _turn(capacity: Capacity, held_s: float, patience_s: float) -> tuple[str, float]:
    """Take a place for a while; give how it ended, and when after asking for it."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        async with capacity.place(patience_s):
            await asyncio.sleep(held_s)
    except AtCapacity:
        return "refused", round(loop.time() - began_s, 6)
    return "served", round(loop.time() - began_s, 6)


@in_virtual_time
async def test_of_two_hundred_those_are_served_who_can_be() -> None:
    """50 places, 0.3 s each, a second of patience: three rounds are served, the rest refused at 0.

    Nobody who was let in to wait is refused later, and nobody is served after his patience.
    """
    capacity = Capacity("test", 50, LoopClock())
    await _turn(capacity, 0.3, 1.0)
    ends = await asyncio.gather(*[_turn(capacity, 0.3, 1.0) for _ in range(200)])
    counted = {end: ends.count(end) for end in sorted(set(ends))}
    assert counted == {
        ("refused", 0.0): 50,
        ("served", 0.3): 50,
        ("served", 0.6): 50,
        ("served", 0.9): 50,
    }


@in_virtual_time
async def test_the_first_who_come_are_not_let_in_blindly() -> None:
    """Before any place was given back, a holding time is assumed: the queue is bounded at once."""
    capacity = Capacity("test", 2, LoopClock(), assumed_s=1.0)
    ends = await asyncio.gather(*[_turn(capacity, 1.0, 3.5) for _ in range(20)])
    assert [end for end in ends if end[0] == "served"] == [
        ("served", 1.0),
        ("served", 1.0),
        ("served", 2.0),
        ("served", 2.0),
        ("served", 3.0),
        ("served", 3.0),
    ]
    assert ends.count(("refused", 0.0)) == 14


@in_virtual_time
async def test_an_engine_that_begins_to_hang_fills_no_queue() -> None:
    """Holders who overrun are expected to go on: who comes late is refused at once."""
    capacity = Capacity("test", 2, LoopClock())
    await _turn(capacity, 0.3, 5.0)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(_turn(capacity, 60.0, 60.0))
        await asyncio.sleep(5.0)
        assert await _turn(capacity, 0.3, 5.0) == ("refused", 0.0)
        assert (await _turn(capacity, 0.3, 6.0))[0] == "refused"


@in_virtual_time
async def test_who_waits_in_vain_is_told_early() -> None:
    """A wait ends 2 s after twice the time foreseen, or when there is no time left to serve.

    0.2 s are foreseen here; serving takes 0.4 s.
    """
    for patience_s, waited_s in ((30.0, 2.4), (1.0, 0.6)):
        capacity = Capacity("test", 1, LoopClock())
        await _turn(capacity, 0.4, 30.0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_turn(capacity, 60.0, 60.0))
            await asyncio.sleep(0.2)
            assert await _turn(capacity, 0.4, patience_s) == ("refused", waited_s)


@in_virtual_time
async def test_a_scraper_sees_how_full_the_places_are() -> None:
    """In flight, waiting, places and saturation are there, by pool, at the moment they are read."""

    def figures() -> list[float | None]:
        names = ("in_flight", "waiting", "places", "saturation")
        labels = {"pool": "seen"}
        return [REGISTRY.get_sample_value(f"salehi_speech_{name}", labels) for name in names]

    capacity = Capacity("seen", 2, LoopClock())
    assert figures() == [0, 0, 2, 0]
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(_turn(capacity, 1.0, 30.0))
        await asyncio.sleep(0.5)
        assert figures() == [2, 1, 2, 1.5]
        await asyncio.sleep(1.0)
        assert figures() == [1, 0, 2, 0.5]
    assert figures() == [0, 0, 2, 0]


async def _hold(capacity: Capacity) -> None:
    async with capacity.place(60.0):
        await asyncio.Event().wait()


async def test_the_past_is_forgotten_slowly() -> None:
    """How long a place is held is learnt: the first value at once, later ones by a fifth."""
    clock = HandClock()
    capacity = Capacity("test", 1, clock)
    await _use(capacity, clock, 1.0)
    assert capacity.typical_s == 1.0
    await _use(capacity, clock, 2.0)
    assert capacity.typical_s == pytest.approx(1.2)
