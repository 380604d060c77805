"""Places for work, given out only to those who can still be served in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from servicekit.clock import Clock, SystemClock
from speech.errors import AtCapacity
from speech.metrics import IN_FLIGHT, REFUSED, WAITING

_WEIGHT_OF_LATEST = 0.2


class Capacity:
    """A number of places, with a queue that is never longer than its members' patience.

    It learns how long a place is held. Who would have to wait so long that no time is left to be
    served is refused at once, not after having waited.
    """

    def __init__(self, pool: str, places: int, clock: Clock | None = None) -> None:
        """Make the places; `pool` names them in metrics and messages."""
        self._pool = pool
        self._places = places
        self._free = asyncio.Semaphore(places)
        self._waiting = 0
        self._typical_s = 0.0
        self._clock = clock or SystemClock()

    @property
    def typical_s(self) -> float:
        """How long a place is held, in seconds, lately; 0 before the first."""
        return self._typical_s

    def expect_place(self, patience_s: float) -> None:
        """Check that who comes now can be served within `patience_s` seconds.

        Raises:
            AtCapacity: not to be expected.
        """
        wait_s = 0.0
        if self._free.locked():
            wait_s = self._typical_s * (self._waiting + 1) / self._places + self._typical_s
        if patience_s <= wait_s:
            REFUSED.labels(self._pool).inc()
            raise AtCapacity(
                f"all {self._places} places of {self._pool} are taken and "
                f"{self._waiting} wait: no room within {patience_s:.1f} s"
            )

    @asynccontextmanager
    async def place(self, patience_s: float) -> AsyncIterator[None]:
        """Hold a place, waiting for it while `patience_s` seconds leave time to be served.

        Raises:
            AtCapacity: there is none, or none came free in time.
        """
        self.expect_place(patience_s)
        await self._wait(patience_s - self._typical_s)
        began_s = self._clock.monotonic_s()
        try:
            with IN_FLIGHT.labels(self._pool).track_inprogress():
                yield
        finally:
            self._free.release()
            self._learn(self._clock.monotonic_s() - began_s)

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
        WAITING.labels(self._pool).inc()
        try:
            yield
        finally:
            self._waiting -= 1
            WAITING.labels(self._pool).dec()

    def _learn(self, held_s: float) -> None:
        weight = _WEIGHT_OF_LATEST if self._typical_s else 1.0
        self._typical_s += weight * (held_s - self._typical_s)
