"""Who gets a place, and who is told at once that there is none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from speech.capacity import Capacity
from speech.errors import AtCapacity


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


async def test_waiting_ends_with_patience() -> None:
    """Who was let in to wait is refused when no place came free in time."""
    capacity = Capacity("test", 1)
    async with capacity.place(60.0):
        with pytest.raises(AtCapacity, match="came free in time"):
            async with capacity.place(0.01):
                pytest.fail("the place was given out twice")


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
