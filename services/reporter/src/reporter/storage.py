"""The database behind the reporter: transactions, and its errors in the reporter's words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reporter.errors import StoreUnavailable
from servicekit.clock import Clock


class Storage:
    """Gives transactions. Every one is committed whole or not at all."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; it commits at the end of the block.

        Raises:
            StoreUnavailable: the database is away, locked for too long, or full.
        """
        try:
            async with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            # hide_parameters keeps values out of the exception, so the chain is safe to log.
            if _is_passing(error):
                raise StoreUnavailable(type(error).__name__) from error
            raise
        except (PoolTimeoutError, OSError) as error:
            raise StoreUnavailable(type(error).__name__) from error


def _is_passing(error: DBAPIError) -> bool:
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def unix_ms(clock: Clock) -> int:
    """Give the present moment as stored."""
    return int(clock.now().timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """Give a stored moment as an aware UTC time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)
