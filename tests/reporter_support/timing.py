"""Time in a test's hand, and patience for what happens in the background."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any


class HandClock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self._now = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
        self._start = self._now

    def now(self) -> datetime:
        """Give the time."""
        return self._now

    def monotonic_s(self) -> float:
        """Give seconds since the start."""
        return (self._now - self._start).total_seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


async def eventually(holds: Callable[[], Awaitable[bool] | bool], *, within_s: float = 10) -> None:
    """Wait until something holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            now = holds()
            if now if isinstance(now, bool) else await now:
                return
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a worker during the block; its failure is the test's."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
