"""Writing together what is asked for at the same time: one transaction instead of many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Groups(Generic[ItemT]):
    """Collects items while a write is under way, and gives them to the next one, all at once.

    Nobody waits for company: an item that comes alone is written alone.
    """

    def __init__(
        self, write: Callable[[Sequence[ItemT]], Awaitable[Sequence[BaseException | None]]]
    ) -> None:
        """Write by `write`: it gives what became of each item, or raises for all of them."""
        self._write = write
        self._waiting: list[tuple[ItemT, asyncio.Future[None]]] = []
        self._turn = asyncio.Lock()

    async def add(self, item: ItemT) -> None:
        """Write an item, with whatever else waits; returns once it is committed.

        Raises what `write` gave for it, or raised.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        # Whoever asked may stop waiting; the others of the group must not lose their write by it.
        writing = asyncio.create_task(self._write_all(done))
        await asyncio.shield(writing)
        await done

    async def _write_all(self, done: asyncio.Future[None]) -> None:
        async with self._turn:
            if done.done():  # it went along with another's
                return
            group, self._waiting = self._waiting, []
            try:
                outcomes = await self._write([item for item, _ in group])
            except Exception as error:  # noqa: BLE001 - handed to everybody whose write it was
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if outcome is None:
                    future.set_result(None)
                else:
                    future.set_exception(outcome)
                    future.exception()  # looked at: who asked may have stopped waiting
