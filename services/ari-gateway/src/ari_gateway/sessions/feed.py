"""The news of all calls, numbered, so that a watcher that was away misses nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable

from salehi.calls.v1 import calls_pb2

_REMEMBERED = 10_000


class CallFeed:
    """Numbers every change and hands it to every watcher."""

    def __init__(self, snapshot: Callable[[], list[calls_pb2.Call]]) -> None:
        self._snapshot = snapshot
        self._epoch = str(uuid.uuid4())
        self._sequence = 0
        self._changes: deque[calls_pb2.WatchCallsResponse] = deque(maxlen=_REMEMBERED)
        self._news = asyncio.Condition()
        self._closed = False

    async def publish(self, call: calls_pb2.Call) -> None:
        """Tell every watcher how a call now stands."""
        async with self._news:
            self._sequence += 1
            self._changes.append(
                calls_pb2.WatchCallsResponse(
                    epoch=self._epoch, sequence=self._sequence, changed=call
                )
            )
            self._news.notify_all()

    async def close(self) -> None:
        """End every watch."""
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def watch(
        self, epoch: str, after_sequence: int
    ) -> AsyncIterator[calls_pb2.WatchCallsResponse]:
        """Give a snapshot, or what was missed since `after_sequence`, and then every change."""
        position = after_sequence
        if epoch != self._epoch or not self._holds_all_after(after_sequence):
            position = self._sequence
            yield calls_pb2.WatchCallsResponse(
                epoch=self._epoch,
                sequence=position,
                snapshot=calls_pb2.Snapshot(calls=self._snapshot()),
            )
        while not self._closed:
            if not self._holds_all_after(position):
                return  # a watcher too slow for the memory starts again with a snapshot
            for change in self._after(position):
                position = change.sequence
                yield change
            async with self._news:
                while self._nothing_after(position):
                    await self._news.wait()

    def _nothing_after(self, sequence: int) -> bool:
        return not self._closed and self._sequence == sequence

    def _holds_all_after(self, sequence: int) -> bool:
        if sequence > self._sequence:
            return False
        oldest = self._changes[0].sequence if self._changes else self._sequence + 1
        return sequence >= oldest - 1

    def _after(self, sequence: int) -> list[calls_pb2.WatchCallsResponse]:
        missed = self._sequence - sequence
        return [self._changes[back] for back in range(-missed, 0)]
