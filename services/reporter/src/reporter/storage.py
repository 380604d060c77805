"""The database behind the reporter: transactions, and its errors in the reporter's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reporter.errors import StoreUnavailable
from servicekit.clock import Clock

# PostgreSQL's classes of what may go better next time: connection lost, transaction rolled back
# (a deadlock, too), out of resources, lock not to be had, stopped by an operator, system error.
_PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})


class Storage:
    """Gives transactions. Every one is committed whole or not at all."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # SQLite lets one write at a time and makes others poll for their turn; here they queue.
        self._turn: AbstractAsyncContextManager[object] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @property
    def is_private(self) -> bool:
        """Whether no other reporter can share this database: SQLite is one process's own."""
        return not isinstance(self._turn, nullcontext)

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
            if _is_passing(error):
                raise StoreUnavailable(type(error).__name__) from error
            raise
        except (PoolTimeoutError, OSError) as error:
            raise StoreUnavailable(type(error).__name__) from error


def _is_passing(error: DBAPIError) -> bool:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return (
        error.connection_invalidated
        or isinstance(error, OperationalError | InterfaceError)
        or state[:2] in _PASSING_CLASSES
    )


def unix_ms(clock: Clock) -> int:
    """Give the present moment as stored."""
    return int(clock.now().timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """Give a stored moment as an aware UTC time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def storable(text: str, length: int) -> str:
    """Cut a text to its column; PostgreSQL stores no NUL."""
    return text.replace("\0", "")[:length]
