"""Opens the session store: the record of calls and the leases, wherever they are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ari_gateway.sessions.lease import Leases
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.redis_ledger import RedisLedger
from ari_gateway.sessions.sql_ledger import SqlLeases, SqlLedger
from servicekit.database import open_database
from servicekit.errors import StartupError
from servicekit.storage import WholeTransactions

_SETTING = "SESSION_STORE_URL"
_ANSWER_S = 5.0


@dataclass(frozen=True)
class SessionStore:
    """Where calls are on record, and who leads."""

    ledger: Ledger
    leases: Leases


@asynccontextmanager
async def session_store(url: str, application: str) -> AsyncIterator[SessionStore]:
    """Open the store of an application.

    Args:
        url: `sqlite:///path`, `postgresql://…`, `redis://…` or `rediss://…`.
        application: whose calls it keeps; in a database one application has a database of its own.

    Raises:
        StartupError: it is of no such form, or cannot be opened.
    """
    if url.startswith(("redis://", "rediss://")):
        async with _redis(url) as redis:
            ledger = RedisLedger(redis, application)
            yield SessionStore(ledger, ledger)
        return
    engine = await open_database(url, "ari_gateway:migrations", setting=_SETTING)
    # The lease has a line of its own: it must not wait behind the writes of calls.
    for_calls, for_leases = WholeTransactions(engine), WholeTransactions(engine)
    try:
        yield SessionStore(SqlLedger(for_calls), SqlLeases(for_leases))
    finally:
        await for_calls.close()
        await for_leases.close()
        await engine.dispose()


@asynccontextmanager
async def _redis(url: str) -> AsyncIterator[Redis]:
    shown = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
    try:
        redis = Redis.from_url(url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S)
        await redis.ping()
    except (RedisError, OSError, ValueError) as error:
        raise StartupError(
            f"{_SETTING}={shown} cannot be opened ({type(error).__name__}): "
            "check that a Redis answers there and takes this password"
        ) from error
    try:
        yield redis
    finally:
        await redis.aclose()
