"""SQLite for code that awaits, without a change of threads for every statement.

A statement of ours takes microseconds, far less than a thread takes to be waked for it and back: it
runs where it is asked for. What waits for the disk, a commit, and what is long, many rows at once,
runs in a thread. Another process that holds the file is waited for in the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, Self, TypeVar

from sqlalchemy import Pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only

T = TypeVar("T")

DRIVER = "sqlite+in_loop"
_BUSY_S = 5.0
_LOOK_AGAIN_S = 0.01


class Cursor(sqlite3.Cursor):
    """A cursor as SQLAlchemy's asyncio layer wants it: every statement awaits something."""

    def execute(self, *args: Any) -> Self:
        """Run one statement, here and now."""
        await_only(_nothing())
        return super().execute(*args)

    def executemany(self, *args: Any) -> Self:
        """Run one statement for many rows, in a thread."""
        return await_only(_in_thread(lambda: super(Cursor, self).executemany(*args)))

    async def _async_soft_close(self) -> None:
        """Keep the rows: SQLAlchemy asks this of cursors that may be read without awaiting."""


class LoopConnection(sqlite3.Connection):
    """A connection whose commits do not hold up the event loop."""

    _changes_before = 0

    def cursor(self, *_args: Any) -> Any:
        """Give a cursor."""
        return super().cursor(Cursor)

    async def begin(self) -> None:
        """Begin with the write lock; wait for another process's turn to end, up to 5 s."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _BUSY_S
        while True:
            try:
                sqlite3.Cursor(self).execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() >= deadline_s:
                    raise
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                self._changes_before = self.total_changes
                return

    def commit(self) -> None:
        """Commit; in a thread when there is something to write to disk."""
        if self.total_changes == self._changes_before:
            super().commit()
        else:
            await_only(_in_thread(super().commit))


class SqliteInLoop(SQLiteDialect_pysqlite):
    """SQLAlchemy's dialect for `LoopConnection`; it takes the write lock at the beginning.

    A transaction that reads first and writes later would fail where it now waits.
    """

    driver = "in_loop"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:  # noqa: ARG003 - SQLAlchemy's signature
        """Give a pool that can be awaited."""
        return AsyncAdaptedQueuePool

    def create_connect_args(self, url: URL) -> Any:
        """Make connections of ours; a thread may commit on them."""
        args, options = super().create_connect_args(url)
        return args, {**options, "factory": LoopConnection, "check_same_thread": False}

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin as `LoopConnection` does."""
        await_only(dbapi_connection.begin())


async def _in_thread(work: Callable[[], T]) -> T:
    working = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        # The thread goes on though nobody waits: the connection is not free before it ends.
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        raise


async def _nothing() -> None:
    """Be awaited."""


registry.register("sqlite.in_loop", __name__, SqliteInLoop.__name__)
