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
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: ItemT) -> None:
        """Write an item, with whatever else waits; returns once it is committed.

        Raises what `write` gave for it, or raised.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # Whoever asked may stop waiting; the others of the group must not lose their write by it.
        await asyncio.shield(done)

    async def _write_all(self) -> None:
        """Write group after group until nothing waits."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._write_group(group)
        finally:
            self._writer = None

    async def _write_group(self, group: Sequence[tuple[ItemT, asyncio.Future[None]]]) -> None:
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
