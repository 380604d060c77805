"""Takes results that come at the same time into one transaction, so that none waits long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from reporter.ledger import Ledger, Recorded, Reported
from salehi.reporter.v1 import reporter_pb2
from servicekit.storage import StoreUnavailable
from servicekit.tracing import traceparent

_AT_ONCE = 64


@dataclass(frozen=True)
class _Waiting:
    reported: Reported
    answer: asyncio.Future[Recorded]


class Intake:
    """Stores results until cancelled; what comes while some are being stored is stored next."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()

    async def record(self, report: reporter_pb2.ReportResultRequest) -> Recorded:
        """Store a result; returns once it is committed. `run` must be running.

        Raises:
            StoreUnavailable: the database is away.
        """
        answer: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(Reported(report, traceparent()), answer))
        return await answer

    async def run(self) -> None:
        """Store what comes."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._store(batch)

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        try:
            recorded = await self._ledger.record_all([waiting.reported for waiting in batch])
        except StoreUnavailable as error:
            for waiting in batch:
                _fail(waiting, StoreUnavailable(str(error)))
            return
        except Exception as error:  # noqa: BLE001 - supervisor: handed to whoever reported it
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for waiting in batch:  # one report that cannot be stored must not cost the others
                await self._store([waiting])
            return
        for waiting, one in zip(batch, recorded, strict=True):
            if not waiting.answer.done():  # whoever asked may have left
                waiting.answer.set_result(one)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
