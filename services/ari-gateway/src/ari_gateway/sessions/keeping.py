"""Keeps live calls on record: before anything is dialled, while they go on, and at their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import stamina
import structlog

from ari_gateway.sessions.ledger import AlreadyOnRecord, Entry, Ledger
from ari_gateway.sessions.live import LiveCall
from ari_gateway.wire import call_message
from salehi.calls.v1 import calls_pb2
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

_AGAIN_S = 0.5
_TOGETHER_S = 0.1


class CallKeeper:
    """Writes what the ledger must know of live calls.

    How a live call goes on is written behind it: a call never waits for the disk between two
    prompts. What a crash takes with it is the last moment, and that is done again.
    """

    def __init__(self, ledger: Ledger, ended: Callable[[calls_pb2.Call], None]) -> None:
        """Write to `ledger`; `ended` gets each call whose result is on record."""
        self._ledger = ledger
        self._ended = ended
        self._beginning: dict[str, asyncio.Future[None]] = {}
        self._changed: dict[str, LiveCall] = {}
        self._news = asyncio.Event()

    def expect(self, live: LiveCall) -> None:
        """A call is going to begin: from now on `until_begun` waits for it."""
        self._beginning[live.plan.attempt_id] = asyncio.get_running_loop().create_future()

    async def begin(self, live: LiveCall) -> None:
        """Put a call on record.

        Raises:
            AlreadyOnRecord: its attempt has been before.
            StoreUnavailable: it cannot be.
        """
        try:
            await self._ledger.begin(_entry(live))
        except (StoreUnavailable, AlreadyOnRecord) as error:
            waited_for = self._beginning.pop(live.plan.attempt_id, None)
            if waited_for is not None:
                waited_for.set_exception(error)
                waited_for.exception()  # looked at: who asked may have stopped waiting
            raise
        waited_for = self._beginning.pop(live.plan.attempt_id, None)
        if waited_for is not None:
            waited_for.set_result(None)

    async def until_begun(self, live: LiveCall) -> None:
        """Wait until a call is on record; who stops waiting leaves it to be dialled all the same.

        Raises:
            AlreadyOnRecord, StoreUnavailable: as `begin`.
        """
        beginning = self._beginning.get(live.plan.attempt_id)
        if beginning is not None:
            await asyncio.shield(beginning)

    def changed(self, live: LiveCall) -> None:
        """A live call went on."""
        self._changed[live.plan.attempt_id] = live
        self._news.set()

    async def end(self, live: LiveCall) -> None:
        """Keep how a call ended, however long that takes: its result would be lost otherwise."""
        self._changed.pop(live.plan.attempt_id, None)
        ended = call_message(live)
        async for attempt in stamina.retry_context(
            on=StoreUnavailable, attempts=None, timeout=None, wait_initial=0.2
        ):
            with attempt:
                await self._ledger.end(ended)
        self._changed.pop(live.plan.attempt_id, None)
        self._ended(ended)

    async def run(self) -> None:
        """Write what changed, for ever; all calls that changed meanwhile in one go."""
        while True:
            await self._news.wait()
            await asyncio.sleep(_TOGETHER_S)  # what others do meanwhile goes along
            self._news.clear()
            batch, self._changed = self._changed, {}
            if not batch:  # it ended meanwhile
                continue
            try:
                await self._ledger.keep([_entry(live) for live in batch.values()])
            except StoreUnavailable as error:
                log.warning("live calls could not be kept on record", reason=str(error))
                self._changed = {
                    name: live
                    for name, live in (batch | self._changed).items()
                    if live.record.verdict is None
                }
                await asyncio.sleep(_AGAIN_S)
                self._news.set()


def _entry(live: LiveCall) -> Entry:
    return Entry(call_message(live), live.plan.channel_id, live.saved.to_bytes())
