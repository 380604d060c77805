"""Calls on record: what was placed, what came of it, and what the reporter still has to hear.

A crash of the gateway forgets nothing that was promised: an attempt that was accepted is known to
be accepted, and a result stays until the reporter has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from salehi.calls.v1 import calls_pb2

metadata = MetaData()

calls = Table(
    "gateway_calls",
    metadata,
    Column("attempt_id", String(64), primary_key=True),
    Column("channel_id", String(160), nullable=False),
    Column("call", LargeBinary, nullable=False),
    Column("ended", Boolean, nullable=False, index=True),
    Column("reported", Boolean, nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("ended_at", DateTime(timezone=True), index=True),
)

_REMEMBERED_FOR = timedelta(days=2)


class AlreadyOnRecord(Exception):  # noqa: N818 - a state of the world
    """The attempt is on record; nothing was changed."""


class Ledger:
    """The record, one row per attempt."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, call: calls_pb2.Call, channel_id: str) -> None:
        """Put a call on record.

        Raises:
            AlreadyOnRecord: its attempt has been before.
        """
        row = {
            "attempt_id": call.attempt_id,
            "channel_id": channel_id,
            "call": call.SerializeToString(),
            "ended": False,
            "reported": False,
            "created_at": datetime.now(UTC),
        }
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(calls).values(row))
        except IntegrityError as error:
            raise AlreadyOnRecord(call.attempt_id) from error

    async def end(self, call: calls_pb2.Call) -> None:
        """Keep how a call ended."""
        ended_at = call.ended_at.ToDatetime(UTC) if call.HasField("ended_at") else datetime.now(UTC)
        await self._set(
            call.attempt_id, call=call.SerializeToString(), ended=True, ended_at=ended_at
        )

    async def reported(self, attempt_id: str) -> None:
        """Note that the reporter has the result."""
        await self._set(attempt_id, reported=True)

    async def find(self, attempt_ids: Sequence[str]) -> list[calls_pb2.Call]:
        """Give what is on record of these attempts."""
        return await self._read(calls.c.attempt_id.in_(attempt_ids))

    async def ended(
        self, attempt_ids: Sequence[str] = (), *, since: datetime | None = None
    ) -> list[calls_pb2.Call]:
        """Give the ended calls that are still remembered, oldest first.

        Args:
            attempt_ids: only these; empty means all.
            since: only those that ended at this moment or later; aware.
        """
        wanted: ColumnElement[bool] = calls.c.ended.is_(True)
        if attempt_ids:
            wanted &= calls.c.attempt_id.in_(attempt_ids)
        if since is not None:
            wanted &= calls.c.ended_at >= since.astimezone(UTC)
        return await self._read(wanted)

    async def unfinished(self) -> list[tuple[calls_pb2.Call, str]]:
        """Give every call on record that has not ended, each with the customer's channel id."""
        statement = select(calls.c.call, calls.c.channel_id).where(calls.c.ended.is_(False))
        async with self._engine.begin() as connection:
            rows = (await connection.execute(statement)).all()
        return [(calls_pb2.Call.FromString(row.call), row.channel_id) for row in rows]

    async def unreported(self) -> list[calls_pb2.Call]:
        """Give every ended call whose result the reporter has not acknowledged, oldest first."""
        return await self._read(calls.c.ended.is_(True) & calls.c.reported.is_(False))

    async def forget_old(self) -> None:
        """Drop calls that were reported days ago."""
        before = datetime.now(UTC) - _REMEMBERED_FOR
        old = calls.c.reported.is_(True) & (calls.c.created_at < before)
        async with self._engine.begin() as connection:
            await connection.execute(delete(calls).where(old))

    async def _set(self, attempt_id: str, **values: object) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                update(calls).where(calls.c.attempt_id == attempt_id).values(**values)
            )

    async def _read(self, condition: ColumnElement[bool]) -> list[calls_pb2.Call]:
        statement = select(calls.c.call).where(condition).order_by(calls.c.created_at)
        async with self._engine.begin() as connection:
            rows = (await connection.execute(statement)).scalars().all()
        return [calls_pb2.Call.FromString(row) for row in rows]
