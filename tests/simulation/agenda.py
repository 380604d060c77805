"""What happens at which moment of a virtual clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

from dialer.moments import now_ms
from support.timing import HandClock

Happening = Callable[[], Awaitable[None] | None]


class Agenda:
    """Happenings in the order of their moments; the clock moves from one to the next."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._queue: list[tuple[int, int, Happening]] = []
        self._order = itertools.count()

    def after(self, delay_ms: int, happening: Happening) -> None:
        """Let something happen `delay_ms` from now."""
        entry = (now_ms(self._clock) + delay_ms, next(self._order), happening)
        heapq.heappush(self._queue, entry)

    def next_ms(self) -> int | None:
        """When the next thing happens; None when nothing is planned."""
        return self._queue[0][0] if self._queue else None

    async def pass_time(self, until_ms: int, settle: Callable[[], Awaitable[None]]) -> None:
        """Move the clock to a moment, past all that happens before; `settle` follows each."""
        while self._queue and self._queue[0][0] <= until_ms:
            at_ms, _, happening = heapq.heappop(self._queue)
            self._move_to(at_ms)
            doing = happening()
            if doing is not None:
                await doing
            await settle()
        self._move_to(until_ms)

    def _move_to(self, at_ms: int) -> None:
        ahead_ms = at_ms - now_ms(self._clock)
        if ahead_ms > 0:
            self._clock.jump(self._clock.now() + timedelta(milliseconds=ahead_ms))
