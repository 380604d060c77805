"""The database behind the dialer: transactions, and its errors in the dialer's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dialer.errors import StoreUnavailable
from servicekit.database import is_passing


class Storage:
    """Gives transactions. Every one is committed whole or not at all."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # SQLite lets one write at a time and makes others poll for their turn; here they queue. One
        # that is cancelled has then closed its transaction before the next begins its own.
        self._turn: AbstractAsyncContextManager[object] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; it commits at the end of the block.

        On SQLite transactions follow one another; on PostgreSQL they run side by side and lock
        what they must.

        Raises:
            StoreUnavailable: the database is away, locked for too long, or full.
        """
        try:
            async with self._turn, self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            # hide_parameters keeps values out of the exception, so the chain is safe to log.
            if is_passing(error):
                raise StoreUnavailable(type(error).__name__) from error
            raise
        except (PoolTimeoutError, OSError) as error:
            raise StoreUnavailable(type(error).__name__) from error


async def insert_new(
    connection: AsyncConnection, table: Table, key: Column[Any], rows: Sequence[Mapping[str, Any]]
) -> set[Any]:
    """Insert the rows whose unique `key` is not there yet; give the keys that were inserted."""
    if not rows:
        return set()
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # Rows given apart keep the statement cacheable: built with values() it is compiled each time.
    statement = make(table).on_conflict_do_nothing().returning(key)
    return set((await connection.execute(statement, list(rows))).scalars())
