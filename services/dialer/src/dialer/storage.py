"""Inserting what may be there already, in both databases' words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


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
