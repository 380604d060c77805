"""Calls on record survive the process, in each store they can be kept in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from ari_gateway.sessions.ledger import AlreadyOnRecord, Entry, Ledger
from ari_gateway.sessions.sql_ledger import SqlLedger
from ari_gateway.sessions.store import session_store
from salehi.calls.v1 import calls_pb2
from servicekit.database import open_database
from servicekit.errors import StartupError
from servicekit.storage import StoreUnavailable, WholeTransactions
from support.redis import redis_server

pytestmark = pytest.mark.real_time


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    return str(request.getfixturevalue({"redis": "redis_url"}.get(request.param, "postgres_url")))


@pytest.fixture
async def ledger(store_url: str) -> AsyncIterator[Ledger]:
    """Open a ledger in an empty store."""
    async with session_store(store_url, "salehi") as store:
        yield store.ledger


def a_call(state: calls_pb2.CallState.ValueType = calls_pb2.CALL_STATE_DIALING) -> calls_pb2.Call:
    """Make a call."""
    return calls_pb2.Call(attempt_id=str(uuid.uuid4()), state=state)


async def test_a_result_stays_until_it_is_acknowledged(ledger: Ledger) -> None:
    """An ended call is unreported until the reporter has it."""
    call = a_call()
    await ledger.begin(Entry(call, call.attempt_id))
    assert await ledger.unreported() == []
    call.state = calls_pb2.CALL_STATE_ENDED
    await ledger.end(call)
    assert [found.attempt_id for found in await ledger.unreported()] == [call.attempt_id]
    await ledger.reported([call.attempt_id])
    await ledger.end(call)  # a late repeat makes it no news again
    assert await ledger.unreported() == []
    assert await ledger.find([call.attempt_id, "unknown"]) == [call]


async def test_a_live_call_is_kept_as_it_stands(ledger: Ledger, store_url: str) -> None:
    """Another process finds each unfinished call as it was kept last, oldest first."""
    first, second = a_call(), a_call()
    for call in (first, second):
        await ledger.begin(Entry(call, f"channel of {call.attempt_id}", b"begun"))
    second.state = calls_pb2.CALL_STATE_ANSWERED
    kept = Entry(second, f"channel of {second.attempt_id}", b"\x00answered")
    await ledger.keep([kept])
    async with session_store(store_url, "salehi") as another:
        found = await another.ledger.unfinished()
    assert found == [Entry(first, f"channel of {first.attempt_id}", b"begun"), kept]


async def test_an_ended_call_is_not_brought_back(ledger: Ledger) -> None:
    """What is written of a call after its end, or of one never begun, changes nothing."""
    call, unknown = a_call(), a_call()
    await ledger.begin(Entry(call, call.attempt_id, b"saved"))
    ended = calls_pb2.Call(attempt_id=call.attempt_id, state=calls_pb2.CALL_STATE_ENDED)
    await ledger.end(ended)
    await ledger.keep([Entry(call, call.attempt_id, b"late"), Entry(unknown, "x", b"late")])
    assert await ledger.unfinished() == []
    assert await ledger.find([call.attempt_id, unknown.attempt_id]) == [ended]


async def ended_at(ledger: Ledger, moment: datetime) -> str:
    """Put a call on record that ended at a moment; give its attempt."""
    call = a_call(calls_pb2.CALL_STATE_ENDED)
    call.ended_at.FromDatetime(moment)
    await ledger.begin(Entry(call, call.attempt_id))
    await ledger.end(call)
    return call.attempt_id


async def test_ended_calls_are_found_by_their_end(ledger: Ledger) -> None:
    """Only calls that ended at the moment or later are given, to the millisecond; no live ones."""
    noon = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
    moments = (noon - timedelta(milliseconds=1), noon, noon + timedelta(hours=1))
    before, at, after = [await ended_at(ledger, moment) for moment in moments]
    live = a_call()
    await ledger.begin(Entry(live, live.attempt_id))

    async def found(*attempts: str, since: datetime | None = None) -> list[str]:
        return [call.attempt_id for call in await ledger.ended(attempts, since=since)]

    assert await found() == [before, at, after]
    assert await found(since=noon) == [at, after]
    tehran = timedelta(hours=3, minutes=30)
    assert await found(since=noon.astimezone(timezone(tehran))) == [at, after]
    assert await found(before, after, live.attempt_id, since=noon) == [after]
    assert await found(before, live.attempt_id) == [before]


async def test_an_attempt_is_on_record_once(ledger: Ledger) -> None:
    """A second record for one attempt is refused, and the first one stays as it was."""
    call = a_call()
    await ledger.begin(Entry(call, call.attempt_id, b"first"))
    another = calls_pb2.Call(attempt_id=call.attempt_id, line="another")
    with pytest.raises(AlreadyOnRecord):
        await ledger.begin(Entry(another, call.attempt_id, b"second"))
    assert await ledger.find([call.attempt_id]) == [call]


async def test_reported_calls_are_forgotten_in_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was reported goes when it is old; what the reporter still has to hear of stays."""
    for module in ("sql_ledger", "redis_ledger"):
        monkeypatch.setattr(f"ari_gateway.sessions.{module}.REMEMBERED_FOR", timedelta(seconds=-5))
    reported, unreported = [await ended_at(ledger, datetime.now(UTC)) for _ in range(2)]
    await ledger.reported([reported])
    await ledger.forget_old()
    assert await ledger.find([reported]) == []
    assert [call.attempt_id for call in await ledger.ended()] == [unreported]


async def test_applications_in_one_redis_know_nothing_of_each_other(redis_url: str) -> None:
    """Two gateways of different applications share a Redis and no calls."""
    async with session_store(redis_url, "one") as one, session_store(redis_url, "two") as two:
        await one.ledger.begin(Entry(a_call(), "channel"))
        assert len(await one.ledger.unfinished()) == 1
        assert await two.ledger.unfinished() == []


async def test_a_redis_that_is_gone_is_a_store_that_is_away() -> None:
    """Every request to a Redis that has died says so in the house's word."""
    with redis_server() as address:
        opened = session_store(f"{address}/0", "salehi")
        store = await opened.__aenter__()
    with pytest.raises(StoreUnavailable):
        await store.ledger.begin(Entry(a_call(), "channel"))
    with pytest.raises(StoreUnavailable):
        await store.ledger.unfinished()
    with pytest.raises(StoreUnavailable):
        await store.leases.take("salehi", "host 1 a")
    await opened.__aexit__(None, None, None)


async def test_a_redis_that_does_not_answer_is_one_line_without_its_password() -> None:
    """A wrong address ends the start with a line that names it and hides the password."""
    with pytest.raises(StartupError) as problem:
        async with session_store("redis://user:secret@127.0.0.1:1/0", "salehi"):
            pass
    assert "SESSION_STORE_URL=redis://127.0.0.1:1/0 cannot be opened" in str(problem.value)
    assert "secret" not in str(problem.value)


async def test_calls_of_an_older_version_know_when_they_ended(tmp_path: Path) -> None:
    """The migration reads the end of each call from what was kept of it."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    engine = await open_database(url, "ari_gateway:migrations")
    ledger = SqlLedger(WholeTransactions(engine))
    noon = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
    attempts = [await ended_at(ledger, noon + timedelta(hours=hours)) for hours in range(3)]
    live = a_call()
    await ledger.begin(Entry(live, live.attempt_id))
    async with engine.begin() as connection:
        await connection.run_sync(_back_to_the_first_version)
        columns = await connection.execute(text("SELECT * FROM gateway_calls"))
        assert "ended_at" not in columns.keys()  # noqa: SIM118 - a method of the result
    await engine.dispose()
    engine = await open_database(url, "ari_gateway:migrations")
    ledger = SqlLedger(WholeTransactions(engine))
    found = await ledger.ended(since=noon + timedelta(hours=1))
    assert [call.attempt_id for call in found] == attempts[1:]
    assert await ledger.unfinished() == [Entry(live, live.attempt_id)]
    await engine.dispose()


def _back_to_the_first_version(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "ari_gateway:migrations")
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")
