"""A database that cannot be used for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


@asynccontextmanager
async def database_away(engine: AsyncEngine) -> AsyncIterator[None]:
    """Keep everybody out of a database during the block.

    PostgreSQL shows its users the door; SQLite has nobody who could, so its file loses a table.
    """
    if engine.dialect.name == "sqlite":
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE reporter_results RENAME TO away"))
        yield
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO reporter_results"))
        return
    name = engine.url.database
    outside = create_async_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    async with outside.connect() as connection:
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        yield
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    await outside.dispose()
