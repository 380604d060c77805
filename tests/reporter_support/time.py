"""Waits that cost no time: the clock is put forward instead."""

from __future__ import annotations

import asyncio

from reporter.wake import Wake
from support.timing import HandClock


class HandWake(Wake):
    """A bell whose waits put a clock forward, so that a worker lives through hours in seconds."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock

    async def wait(self, at_most_s: float | None) -> None:
        """Let the time pass at once; without an end wait for a ring."""
        if at_most_s is None:
            await super().wait(None)
            return
        await self.pause(at_most_s)

    async def pause(self, seconds: float) -> None:
        """Let the time pass at once."""
        self._clock.advance(seconds)
        await asyncio.sleep(0)
