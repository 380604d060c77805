"""Writing together what is asked for at the same time: one transaction instead of many."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Groups(Generic[ItemT]):
    """Collects items until one of them may wait no longer, and writes all of them at once.

    A transaction costs far more than the row it writes: what is in no hurry goes along with what
    is. What comes while a write is under way is for the next one.
    """

    def __init__(
        self, write: Callable[[Sequence[ItemT]], Awaitable[Sequence[BaseException | None]]]
    ) -> None:
        """Write by `write`: it gives what became of each item, or raises for all of them."""
        self._write = write
        self._waiting: list[tuple[ItemT, asyncio.Future[None]]] = []
        self._due_s = math.inf
        self._due_sooner = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: ItemT, *, patience_s: float = 0.0) -> None:
        """Write an item, with whatever else waits; returns once it is committed.

        It is given to `write` within `patience_s` seconds, or after the write under way. Raises
        what `write` gave for it, or raised.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((item, done))
        if loop.time() + patience_s < self._due_s:
            self._due_s = loop.time() + patience_s
            self._due_sooner.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # Whoever asked may stop waiting; the others of the group must not lose their write by it.
        await asyncio.shield(done)

    async def _write_all(self) -> None:
        """Write group after group until nothing waits."""
        try:
            while self._waiting:
                await self._until_due()
                group, self._waiting, self._due_s = self._waiting, [], math.inf
                await self._write_group(group)
        finally:
            self._writer = None

    async def _until_due(self) -> None:
        while self._due_s > asyncio.get_running_loop().time():
            self._due_sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._due_s):
                    await self._due_sooner.wait()

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
