"""Places for work, given out only to those who can still be served in time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from servicekit.clock import Clock, SystemClock
from servicekit.metrics import from_zero
from speech.errors import AtCapacity
from speech.metrics import IN_FLIGHT, PLACES, REFUSED, SATURATION, WAITING

_WEIGHT_OF_LATEST = 0.2
_DOUBT_S = 2.0
"""How far beyond twice the time foreseen a wait may last before it counts as in vain."""


class Capacity:
    """A number of places, with a queue that is never longer than its members' patience.

    It learns how long a place is held. Who would have to wait so long that no time is left to be
    served is refused at once, not after having waited.
    """

    def __init__(
        self, pool: str, places: int, clock: Clock | None = None, *, assumed_s: float = 1.0
    ) -> None:
        """Make the places; `pool` names them in metrics and messages.

        Until the first place is given back, each is assumed to be held for `assumed_s` seconds.
        """
        self._pool = pool
        self._places = places
        self._free = asyncio.Semaphore(places)
        self._waiting = 0
        self._held_since_s: dict[int, float] = {}
        self._tickets = itertools.count()
        self._typical_s = assumed_s
        self._learnt = False
        self._clock = clock or SystemClock()
        self._show()

    @property
    def typical_s(self) -> float:
        """How long a place is held, in seconds, lately; before the first, as assumed."""
        return self._typical_s

    def expect_place(self, patience_s: float) -> float:
        """Check that who comes now can be served within `patience_s` seconds; give the wait.

        Raises:
            AtCapacity: not to be expected.
        """
        wait_s = self._foreseen_wait_s()
        if patience_s <= (wait_s + self._typical_s if wait_s else 0.0):
            REFUSED.labels(self._pool).inc()
            raise AtCapacity(
                f"{len(self._held_since_s)} of {self._places} places of {self._pool} are taken "
                f"and {self._waiting} wait: no room within {max(patience_s, 0.0):.1f} s"
            )
        return wait_s

    @asynccontextmanager
    async def place(self, patience_s: float) -> AsyncIterator[None]:
        """Hold a place, waiting for it while `patience_s` seconds leave time to be served.

        Raises:
            AtCapacity: there is none, or none came free in time.
        """
        foreseen_s = self.expect_place(patience_s)
        await self._wait(min(patience_s - self._typical_s, 2 * foreseen_s + _DOUBT_S))
        ticket = next(self._tickets)
        self._held_since_s[ticket] = self._clock.monotonic_s()
        try:
            yield
        finally:
            self._free.release()
            self._learn(self._clock.monotonic_s() - self._held_since_s.pop(ticket))

    def _foreseen_wait_s(self) -> float:
        """Foresee when a place comes free for who comes now, behind those who wait already.

        Each place is held as long as is typical; who has overrun that is expected to take as long
        again as he has taken, so that an engine that begins to hang fills no queue.
        """
        if not self._free.locked():
            return 0.0
        now_s = self._clock.monotonic_s()
        ends_s = [self._left_s(now_s - since_s) for since_s in self._held_since_s.values()]
        ends_s.extend([0.0] * (self._places - len(ends_s)))  # handed over, not yet taken
        heapq.heapify(ends_s)
        for _ in range(self._waiting):
            heapq.heapreplace(ends_s, ends_s[0] + self._typical_s)
        return ends_s[0]

    def _left_s(self, age_s: float) -> float:
        return self._typical_s - age_s if age_s <= self._typical_s else age_s

    async def _wait(self, longest_s: float) -> None:
        with self._counted():
            try:
                async with asyncio.timeout(max(longest_s, 0.0) if self._free.locked() else None):
                    await self._free.acquire()
            except TimeoutError:
                REFUSED.labels(self._pool).inc()
                raise AtCapacity(f"no place of {self._pool} came free in time") from None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _learn(self, held_s: float) -> None:
        weight = _WEIGHT_OF_LATEST if self._learnt else 1.0
        self._typical_s += weight * (held_s - self._typical_s)
        self._learnt = True

    def _show(self) -> None:
        """Let metrics look at the places whenever they are scraped."""
        from_zero(REFUSED, [self._pool])
        PLACES.labels(self._pool).set(self._places)
        IN_FLIGHT.labels(self._pool).set_function(lambda: len(self._held_since_s))
        WAITING.labels(self._pool).set_function(lambda: self._waiting)
        SATURATION.labels(self._pool).set_function(
            lambda: (len(self._held_since_s) + self._waiting) / self._places
        )
