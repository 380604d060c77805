"""Time in a test's hand, and patience for what happens in the background."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

NOON_IN_TEHRAN = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)


class HandClock:
    """A clock that moves only when told; it begins at noon in Tehran."""

    def __init__(self, start: datetime = NOON_IN_TEHRAN) -> None:
        self._now = start
        self._start = start

    def now(self) -> datetime:
        """Give the time."""
        return self._now

    def monotonic_s(self) -> float:
        """Give seconds since the start."""
        return (self._now - self._start).total_seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)

    def jump(self, moment: datetime) -> None:
        """Go to a moment."""
        self._now = moment


async def eventually(holds: Callable[[], Awaitable[bool] | bool], *, within_s: float = 10) -> None:
    """Wait until something holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            now = holds()
            if now if isinstance(now, bool) else await now:
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run loops during the block; their failure is the test's."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
