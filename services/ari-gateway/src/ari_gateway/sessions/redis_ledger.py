"""The record and the leases in Redis, for gateways that share no disk.

Every change is one script, so it happens whole or not at all. All keys of an application carry its
name in braces and so live on one node of a cluster. Redis must write its log to disk
(`appendonly yes`), or its own crash forgets calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ari_gateway.sessions.lease import LEASE_S
from ari_gateway.sessions.ledger import REMEMBERED_FOR, AlreadyOnRecord, Entry
from salehi.calls.v1 import calls_pb2
from servicekit.storage import StoreUnavailable

# KEYS: the call, then the sets it is in. A repeat of a request whose answer was lost is no other
# call: it brings the same bytes.
_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.call('HGET', KEYS[1], 'saved') == ARGV[4] and 1 or 0
end
redis.call('HSET', KEYS[1], 'channel_id', ARGV[2], 'call', ARGV[3], 'saved', ARGV[4], 'ended', '0',
    'reported', '0')
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
return 1
"""
_KEEP = """
if redis.call('HGET', KEYS[1], 'ended') == '0' then
    redis.call('HSET', KEYS[1], 'call', ARGV[1], 'saved', ARGV[2])
end
"""
_END = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
redis.call('HSET', KEYS[1], 'call', ARGV[2], 'saved', '', 'ended', '1')
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
if redis.call('HGET', KEYS[1], 'reported') == '0' then
    redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
end
"""
_REPORTED = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
redis.call('HSET', KEYS[1], 'reported', '1')
redis.call('ZREM', KEYS[2], ARGV[1])
"""
_FORGET = """
if redis.call('HGET', KEYS[1], 'reported') == '1' then
    redis.call('DEL', KEYS[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
end
"""
_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[2] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return ARGV[1]
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisLedger:
    """The record, one hash per attempt, and the leases."""

    def __init__(self, redis: Redis, application: str) -> None:
        """Keep the calls of one application; `redis` gives bytes."""
        self._redis = redis
        self._prefix = f"salehi:{{{application}}}:"

    # the record

    async def begin(self, entry: Entry) -> None:
        """Put a call on record.

        Raises:
            AlreadyOnRecord: its attempt has been before.
            StoreUnavailable: Redis is away.
        """
        attempt_id = entry.call.attempt_id
        stored = await self._run(
            _BEGIN,
            [self._call(attempt_id), self._key("open")],
            attempt_id,
            entry.channel_id,
            entry.call.SerializeToString(),
            entry.saved,
            int(datetime.now(UTC).timestamp() * 1_000_000),
        )
        if not stored:
            raise AlreadyOnRecord(attempt_id)

    async def keep(self, entries: Sequence[Entry]) -> None:
        """Keep how live calls stand."""
        async with _translated(), self._redis.pipeline(transaction=False) as pipeline:
            for entry in entries:
                pipeline.eval(
                    _KEEP,
                    1,
                    self._call(entry.call.attempt_id),
                    entry.call.SerializeToString(),
                    entry.saved,
                )
            await pipeline.execute()

    async def end(self, call: calls_pb2.Call) -> None:
        """Keep how a call ended; what a successor would have needed goes."""
        ended_at = call.ended_at.ToDatetime(UTC) if call.HasField("ended_at") else datetime.now(UTC)
        await self._run(
            _END,
            [
                self._call(call.attempt_id),
                self._key("open"),
                self._key("ended"),
                self._key("unreported"),
            ],
            call.attempt_id,
            call.SerializeToString(),
            _ms(ended_at),
        )

    async def reported(self, attempt_ids: Sequence[str]) -> None:
        """Note that the reporter has these results."""
        async with _translated(), self._redis.pipeline(transaction=False) as pipeline:
            for attempt_id in attempt_ids:
                keys = self._call(attempt_id), self._key("unreported")
                pipeline.eval(_REPORTED, len(keys), *keys, attempt_id)
            await pipeline.execute()

    async def find(self, attempt_ids: Sequence[str]) -> list[calls_pb2.Call]:
        """Give what is on record of these attempts."""
        rows = await self._fields(attempt_ids, "call")
        return [calls_pb2.Call.FromString(row[0]) for row in rows if row]

    async def ended(
        self, attempt_ids: Sequence[str] = (), *, since: datetime | None = None
    ) -> list[calls_pb2.Call]:
        """Give the ended calls that are still remembered, oldest first."""
        found = await self._members("ended", _ms(since) if since else 0)
        wanted = set(attempt_ids)
        names = [name for name in found if not wanted or name in wanted]
        return await self.find(names)

    async def unfinished(self) -> list[Entry]:
        """Give every call on record that has not ended, oldest first."""
        names = await self._members("open")
        rows = await self._fields(names, "call", "channel_id", "saved")
        return [
            Entry(calls_pb2.Call.FromString(call), channel_id.decode(), saved)
            for call, channel_id, saved in filter(None, rows)
        ]

    async def unreported(self) -> list[calls_pb2.Call]:
        """Give every ended call whose result the reporter has not acknowledged, oldest first."""
        return await self.find(await self._members("unreported"))

    async def forget_old(self) -> None:
        """Drop calls that were reported days ago."""
        before = _ms(datetime.now(UTC) - REMEMBERED_FOR)
        async with _translated():
            old: list[Any] = await self._redis.zrangebyscore(self._key("ended"), 0, before)
        for attempt_id in map(bytes.decode, old):
            await self._run(_FORGET, [self._call(attempt_id), self._key("ended")], attempt_id)

    # the leases

    async def take(self, application: str, holder: str, *, instead_of: str = "") -> str:
        """Take or renew a lease by Redis's own clock; give who holds it now."""
        key = f"salehi:{{{application}}}:lease"
        found = await self._run(_TAKE, [key], holder, instead_of, int(LEASE_S * 1000))
        return str(found.decode())

    async def release(self, application: str, holder: str) -> None:
        """Give a lease back."""
        await self._run(_RELEASE, [f"salehi:{{{application}}}:lease"], holder)

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _call(self, attempt_id: str) -> str:
        return f"{self._prefix}call:{attempt_id}"

    async def _run(self, script: str, keys: list[str], *values: str | bytes | int) -> Any:
        async with _translated():
            return await self._redis.eval(script, len(keys), *keys, *values)

    async def _members(self, name: str, least: int = 0) -> list[str]:
        async with _translated():
            found: list[Any] = await self._redis.zrangebyscore(self._key(name), least, "+inf")
        return list(map(bytes.decode, found))

    async def _fields(self, attempt_ids: Sequence[str], *fields: str) -> list[list[bytes]]:
        """Give fields of calls; an empty list for one that is not on record."""
        async with _translated(), self._redis.pipeline(transaction=False) as pipeline:
            for attempt_id in attempt_ids:
                pipeline.hmget(self._call(attempt_id), *fields)
            rows: list[list[bytes | None]] = await pipeline.execute()
        return [[value for value in row if value is not None] for row in rows]


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Say in the house's word that Redis is away."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(type(error).__name__) from error


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
