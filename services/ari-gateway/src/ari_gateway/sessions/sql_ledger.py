"""The record and the leases in a database: a SQLite file, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Insert,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from ari_gateway.sessions.groups import Groups
from ari_gateway.sessions.lease import LEASE_S
from ari_gateway.sessions.ledger import REMEMBERED_FOR, AlreadyOnRecord, Entry
from salehi.calls.v1 import calls_pb2
from servicekit.clock import Clock, SystemClock
from servicekit.storage import WholeTransactions

metadata = MetaData()

calls = Table(
    "gateway_calls",
    metadata,
    Column("attempt_id", String(64), primary_key=True),
    Column("channel_id", String(160), nullable=False),
    Column("call", LargeBinary, nullable=False),
    Column("saved", LargeBinary, nullable=False),
    Column("ended", Boolean, nullable=False, index=True),
    Column("reported", Boolean, nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("ended_at", DateTime(timezone=True), index=True),
)

leases = Table(
    "gateway_leases",
    metadata,
    Column("application", String(64), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)


# A call is dialled once its beginning is on record; for everything else so long a wait is nothing.
_IN_NO_HURRY_S = 0.1

_this = calls.c.attempt_id == bindparam("attempt")
_KEEP = update(calls).where(_this & calls.c.ended.is_(False))
_END = update(calls).where(_this)
_INSERT: dict[str, Insert] = {
    "sqlite": sqlite.insert(calls).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(calls).on_conflict_do_nothing(),
}
_REPORT = update(calls).where(_this).values(reported=True)


@dataclass(frozen=True)
class _Begin:
    entry: Entry


@dataclass(frozen=True)
class _Keep:
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class _End:
    call: calls_pb2.Call


@dataclass(frozen=True)
class _Reported:
    attempt_ids: tuple[str, ...]


_Change: TypeAlias = _Begin | _Keep | _End | _Reported


class SqlLedger:
    """The record, one row per attempt."""

    def __init__(self, storage: WholeTransactions) -> None:
        self._storage = storage
        self._groups = Groups(self._write)

    async def begin(self, entry: Entry) -> None:
        """Put a call on record.

        Raises:
            AlreadyOnRecord: its attempt has been before.
            StoreUnavailable: the database is away.
        """
        await self._groups.add(_Begin(entry))

    async def keep(self, entries: Sequence[Entry]) -> None:
        """Keep how live calls stand."""
        await self._groups.add(_Keep(tuple(entries)), patience_s=_IN_NO_HURRY_S)

    async def end(self, call: calls_pb2.Call) -> None:
        """Keep how a call ended; what a successor would have needed goes."""
        await self._groups.add(_End(call), patience_s=_IN_NO_HURRY_S)

    async def reported(self, attempt_ids: Sequence[str]) -> None:
        """Note that the reporter has these results."""
        await self._groups.add(_Reported(tuple(attempt_ids)), patience_s=_IN_NO_HURRY_S)

    async def _write(self, changes: Sequence[_Change]) -> list[BaseException | None]:
        """Write a group in one transaction; only a `begin` may be refused alone."""
        begun = [_begun_row(c.entry) for c in changes if isinstance(c, _Begin)]
        kept = [_kept_row(entry) for c in changes if isinstance(c, _Keep) for entry in c.entries]
        ended = [_ended_row(c.call) for c in changes if isinstance(c, _End)]
        reported = [
            {"attempt": name} for c in changes if isinstance(c, _Reported) for name in c.attempt_ids
        ]

        def write(connection: Connection) -> set[str]:
            known = _insert(connection, begun)
            for statement, rows in ((_KEEP, kept), (_END, ended), (_REPORT, reported)):
                if rows:
                    connection.execute(statement, rows)
            return known

        known = await self._storage.run(write)
        return [
            AlreadyOnRecord(change.entry.call.attempt_id)
            if isinstance(change, _Begin) and change.entry.call.attempt_id in known
            else None
            for change in changes
        ]

    async def find(self, attempt_ids: Sequence[str]) -> list[calls_pb2.Call]:
        """Give what is on record of these attempts."""
        return await self._read(calls.c.attempt_id.in_(attempt_ids))

    async def ended(
        self, attempt_ids: Sequence[str] = (), *, since: datetime | None = None
    ) -> list[calls_pb2.Call]:
        """Give the ended calls that are still remembered, oldest first."""
        wanted: ColumnElement[bool] = calls.c.ended.is_(True)
        if attempt_ids:
            wanted &= calls.c.attempt_id.in_(attempt_ids)
        if since is not None:
            wanted &= calls.c.ended_at >= since.astimezone(UTC)
        return await self._read(wanted)

    async def unfinished(self) -> list[Entry]:
        """Give every call on record that has not ended, oldest first."""
        statement = (
            select(calls.c.call, calls.c.channel_id, calls.c.saved)
            .where(calls.c.ended.is_(False))
            .order_by(calls.c.created_at)
        )
        rows = await self._storage.run(lambda connection: connection.execute(statement).all())
        return [
            Entry(calls_pb2.Call.FromString(row.call), row.channel_id, row.saved) for row in rows
        ]

    async def unreported(self) -> list[calls_pb2.Call]:
        """Give every ended call whose result the reporter has not acknowledged, oldest first."""
        return await self._read(calls.c.ended.is_(True) & calls.c.reported.is_(False))

    async def forget_old(self) -> None:
        """Drop calls that were reported days ago."""
        before = datetime.now(UTC) - REMEMBERED_FOR
        old = calls.c.reported.is_(True) & (calls.c.created_at < before)
        await self._storage.run(lambda connection: connection.execute(delete(calls).where(old)))

    async def _read(self, condition: ColumnElement[bool]) -> list[calls_pb2.Call]:
        statement = select(calls.c.call).where(condition).order_by(calls.c.created_at)
        rows = await self._storage.run(
            lambda connection: connection.execute(statement).scalars().all()
        )
        return [calls_pb2.Call.FromString(row) for row in rows]


def _insert(connection: Connection, rows: Sequence[dict[str, object]]) -> set[str]:
    """Put calls on record; give the attempts that have been before."""
    statement = _INSERT[connection.dialect.name]
    return {
        str(row["attempt_id"]) for row in rows if connection.execute(statement, row).rowcount == 0
    }


def _begun_row(entry: Entry) -> dict[str, object]:
    return {
        "attempt_id": entry.call.attempt_id,
        "channel_id": entry.channel_id,
        "call": entry.call.SerializeToString(),
        "saved": entry.saved,
        "ended": False,
        "reported": False,
        "created_at": datetime.now(UTC),
    }


def _kept_row(entry: Entry) -> dict[str, object]:
    return {
        "attempt": entry.call.attempt_id,
        "call": entry.call.SerializeToString(),
        "saved": entry.saved,
    }


def _ended_row(call: calls_pb2.Call) -> dict[str, object]:
    ended_at = call.ended_at.ToDatetime(UTC) if call.HasField("ended_at") else datetime.now(UTC)
    return {
        "attempt": call.attempt_id,
        "call": call.SerializeToString(),
        "saved": b"",
        "ended": True,
        "ended_at": ended_at,
    }


class SqlLeases:
    """Leases, one row per application; their end by this machine's clock."""

    def __init__(self, storage: WholeTransactions, clock: Clock | None = None) -> None:
        self._storage = storage
        self._clock = clock or SystemClock()

    async def take(self, application: str, holder: str, *, instead_of: str = "") -> str:
        """Take or renew a lease; give who holds it now."""
        try:
            return await self._take(application, holder, instead_of)
        except IntegrityError:  # another one was first in this moment
            return await self._take(application, holder, instead_of)

    async def _take(self, application: str, holder: str, instead_of: str) -> str:
        now_ms = int(self._clock.now().timestamp() * 1000)
        mine = {"holder": holder, "until_ms": now_ms + int(LEASE_S * 1000)}
        free = or_(leases.c.holder.in_((holder, instead_of)), leases.c.until_ms <= now_ms)
        this = leases.c.application == application

        def take(connection: Connection) -> str:
            taken = connection.execute(update(leases).where(this & free).values(mine))
            if taken.rowcount == 1:
                return holder
            other = connection.execute(select(leases.c.holder).where(this)).scalar()
            if other is None:
                connection.execute(insert(leases).values(application=application, **mine))
            return str(other or holder)

        return await self._storage.run(take)

    async def release(self, application: str, holder: str) -> None:
        """Give a lease back."""
        this = (leases.c.application == application) & (leases.c.holder == holder)
        await self._storage.run(lambda connection: connection.execute(delete(leases).where(this)))
