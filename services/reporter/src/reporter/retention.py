"""Forgetting with time: words first, callbacks and whole results later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Select, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reporter.erasing import without_words
from reporter.metrics import FORGOTTEN, STORE_ERRORS
from reporter.storage import unix_ms
from reporter.tables import SETTLED, callbacks, deliveries, results
from salehi.reporter.v1 import reporter_pb2
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

_DAY_MS = 24 * 3600 * 1000
_INTERVAL_S = 3600.0
_STORE_RETRY_S = 60.0
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long things are kept after they were stored, days; 0 keeps them for ever.

    Attributes:
        results_days: whole results, once the panel need not hear of them any more, and callbacks
            nobody has made, whatever the panel must hear of.
        transcripts_days: the words that were heard.
    """

    results_days: int
    transcripts_days: int


class RetentionWorker:
    """Removes what is too old, at start and then every hour, until cancelled."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        rule: RetentionRule,
        *,
        interval_s: float = _INTERVAL_S,
        chunk: int = _CHUNK,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._rule = rule
        self._interval_s = interval_s
        self._chunk = chunk

    async def run(self) -> None:
        """Sweep, wait, and sweep again."""
        while True:
            wait_s = self._interval_s
            try:
                await self.sweep()
            except StoreUnavailable as error:
                STORE_ERRORS.inc()
                log.warning("the database is away, old results wait", reason=str(error))
                wait_s = min(wait_s, _STORE_RETRY_S)
            await asyncio.sleep(wait_s)

    async def sweep(self) -> None:
        """Remove what is too old now, in portions: nobody waits long for a lock.

        Raises:
            StoreUnavailable: the database is away; what was removed so far stays removed.
        """
        words = await self._in_portions(self._rule.transcripts_days, _old_words, _remove_words)
        days = self._rule.results_days
        # Before the results, because a callback goes with its result, and uncounted.
        calls = await self._in_portions(days, _old_callbacks, _remove_callbacks)
        whole = await self._in_portions(days, _old_results, _remove_results)
        FORGOTTEN.labels("words").inc(words)
        FORGOTTEN.labels("callbacks").inc(calls)
        FORGOTTEN.labels("results").inc(whole)
        if calls:
            log.warning("callbacks nobody made in time are forgotten", callbacks=calls)
        if words or whole:
            log.info("old results are forgotten", words=words, results=whole)

    async def _in_portions(
        self,
        days: int,
        select_old: Callable[[int], Select[int]],
        remove: Callable[[AsyncConnection, list[int]], Awaitable[None]],
    ) -> int:
        if not days:
            return 0
        query = select_old(unix_ms(self._clock) - days * _DAY_MS).limit(self._chunk)
        query = query.with_for_update(skip_locked=True, of=results)
        removed = 0
        while True:
            async with self._storage.transaction() as connection:
                found = list(await connection.scalars(query))
                if found:
                    await remove(connection, found)
            removed += len(found)
            if len(found) < self._chunk:
                return removed


def _old_words(before_ms: int) -> Select[int]:
    return select(results.c.sequence).where(
        results.c.has_words, results.c.received_at_ms < before_ms
    )


def _old_callbacks(before_ms: int) -> Select[int]:
    return (
        select(results.c.sequence)
        .join_from(results, callbacks)
        .where(results.c.received_at_ms < before_ms)
    )


def _old_results(before_ms: int) -> Select[int]:
    """Those that are settled: what the panel has not heard of is kept however old it is."""
    return (
        select(results.c.sequence)
        .join_from(results, deliveries, isouter=True)
        .where(
            results.c.received_at_ms < before_ms,
            or_(deliveries.c.status.is_(None), deliveries.c.status.in_(SETTLED)),
        )
    )


async def _remove_words(connection: AsyncConnection, sequences: list[int]) -> None:
    query = select(results.c.sequence, results.c.report).where(results.c.sequence.in_(sequences))
    stripped = []
    for sequence, stored in await connection.execute(query):
        report = reporter_pb2.ReportResultRequest.FromString(stored)
        without_words(report)
        stripped.append({"row": sequence, "report": report.SerializeToString()})
    await connection.execute(
        update(results).where(results.c.sequence == bindparam("row")).values(has_words=False),
        stripped,
    )


async def _remove_callbacks(connection: AsyncConnection, sequences: list[int]) -> None:
    await connection.execute(delete(callbacks).where(callbacks.c.sequence.in_(sequences)))


async def _remove_results(connection: AsyncConnection, sequences: list[int]) -> None:
    """Delete results; their settled deliveries go with them."""
    await connection.execute(delete(results).where(results.c.sequence.in_(sequences)))
