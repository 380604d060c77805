"""Waiting for work that may come early."""

from __future__ import annotations

import asyncio


class Wake:
    """A bell that one worker sleeps by. Clear it, look for work, then wait: no ring is missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """There may be work."""
        self._event.set()

    def clear(self) -> None:
        """Forget the rings until now."""
        self._event.clear()

    async def wait(self, at_most_s: float | None) -> None:
        """Wait for a ring, at most so many seconds; None waits without end."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._event.wait()
        except TimeoutError:
            return

    async def pause(self, seconds: float) -> None:
        """Let time pass; no ring ends it."""
        await asyncio.sleep(seconds)
