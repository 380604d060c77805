"""Transactions on a service's database, and its errors in one word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.database import sqlite_engine

T = TypeVar("T")

# PostgreSQL's classes of what may go better next time; its driver has no class for most of them:
# connection lost, authorization (a password is just being changed), transaction rolled back (a
# deadlock, too), out of resources, lock not to be had, stopped by an operator, system error.
_PASSING_CLASSES = frozenset({"08", "28", "40", "53", "55", "57", "58"})


class StoreUnavailable(Exception):  # noqa: N818 - named as the state it reports
    """The database is away, locked for too long, or full; nothing was changed."""


class Storage:
    """Gives transactions. Every one is committed whole or not at all."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # SQLite lets one write at a time and makes others poll for their turn; here they queue. One
        # that is cancelled has then closed its transaction before the next begins its own.
        self._turn: AbstractAsyncContextManager[object] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @property
    def is_private(self) -> bool:
        """Whether no other process can share this database: SQLite is one process's own."""
        return not isinstance(self._turn, nullcontext)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; it commits at the end of the block.

        On SQLite transactions follow one another; on PostgreSQL they run side by side and lock
        what they must.

        Raises:
            StoreUnavailable: the database is away, locked for too long, or full.
        """
        with _translated():
            async with self._turn, self._engine.begin() as connection:
                yield connection


class WholeTransactions:
    """Gives transactions whose work is one plain function.

    On SQLite the function runs in a thread of its own: one change of threads for a transaction
    instead of one for each statement, which is a quarter of the cost. Who stops waiting for it
    does not stop it: it commits all the same.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._thread: ThreadPoolExecutor | None = None
        self._connection: Connection | None = None
        if engine.dialect.name == "sqlite":
            self._blocking = sqlite_engine(engine.url)
            self._thread = ThreadPoolExecutor(1, "store")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction; it commits when `work` returns. `work` must not wait.

        Raises:
            StoreUnavailable: the database is away, locked for too long, or full.
        """
        with _translated():
            if self._thread is None:
                async with self._engine.begin() as connection:
                    return await connection.run_sync(work)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._transact, work)

    async def close(self) -> None:
        """Let what is under way finish, and close the connection; the engine stays open."""
        if self._thread is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown()

    # in the thread

    def _transact(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._blocking.connect()
        with self._connection.begin():
            return work(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._blocking.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Say in the house's word that the database is away."""
    try:
        yield
    except DBAPIError as error:
        if _is_passing(error):
            raise StoreUnavailable(_reason(error)) from error
        raise
    except (PoolTimeoutError, OSError) as error:
        raise StoreUnavailable(type(error).__name__) from error


def _is_passing(error: DBAPIError) -> bool:
    return (
        error.connection_invalidated
        or isinstance(error, OperationalError | InterfaceError)
        or _state(error)[:2] in _PASSING_CLASSES
    )


def _reason(error: DBAPIError) -> str:
    """Name an error by its class alone: its text may hold values."""
    cause = error.orig.__cause__ if error.orig is not None else None
    state = _state(error)
    return f"{type(cause or error).__name__}{f' {state}' if state else ''}"


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
