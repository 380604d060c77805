"""The news of all calls, numbered, so that a watcher that was away misses nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable

from salehi.calls.v1 import calls_pb2

_REMEMBERED = 10_000
# What happens to a call in so short a time is one change: dialing, leaving and a first ringing are
# a few milliseconds apart, and each message costs both sides as much as a request.
_GATHERED_S = 0.025


class CallFeed:
    """Numbers every change and hands it to every watcher."""

    def __init__(self, snapshot: Callable[[], list[calls_pb2.Call]]) -> None:
        self._snapshot = snapshot
        self._epoch = str(uuid.uuid4())
        self._sequence = 0
        self._fresh: dict[str, calls_pb2.Call] = {}
        self._has_fresh = asyncio.Event()
        self._changes: deque[calls_pb2.WatchCallsResponse] = deque(maxlen=_REMEMBERED)
        self._news = asyncio.Condition()
        self._closed = False

    def publish(self, call: calls_pb2.Call) -> None:
        """Tell every watcher, in a moment, how a call now stands."""
        self._fresh[call.attempt_id] = call
        self._has_fresh.set()

    async def run(self) -> None:
        """Hand on what is published, until cancelled; what is left then is handed on, too."""
        try:
            while True:
                await self._has_fresh.wait()
                await asyncio.sleep(_GATHERED_S)
                await self._hand_on()
        finally:
            await self._hand_on()

    async def _hand_on(self) -> None:
        fresh, self._fresh = self._fresh, {}
        self._has_fresh.clear()
        async with self._news:
            for call in fresh.values():
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
