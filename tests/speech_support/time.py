"""Tests that do not wait: time jumps to what happens next."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime

from gateway_support.virtual_time import VirtualTimeLoop


def in_virtual_time(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run an asynchronous test on a loop that jumps over its waits."""

    @functools.wraps(test)
    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test())

    return run


class LoopClock:
    """The running loop's time."""

    def now(self) -> datetime:
        """Give some date."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        """Give the loop's seconds."""
        return asyncio.get_running_loop().time()
