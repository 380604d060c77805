from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from dialer.engine import MIGRATIONS
from dialer.tables import metadata
from servicekit.database import open_database


async def test_the_migrations_make_exactly_the_tables_the_code_uses(database_url: str) -> None:
    """A migrated database differs in nothing from the tables in code, also the second time."""
    for _ in range(2):
        engine = await open_database(database_url, MIGRATIONS)

        def differences(connection: Connection) -> list[Any]:
            context = MigrationContext.configure(
                connection, opts={"version_table": "dialer_schema_version"}
            )
            return list(compare_metadata(context, metadata))

        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await engine.dispose()
