"""Calls on record survive the process."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.leftovers import end_leftovers
from ari_gateway.sessions.ledger import AlreadyOnRecord, Ledger
from salehi.calls.v1 import calls_pb2
from servicekit.database import open_database

pytestmark = pytest.mark.real_time


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Open a ledger in a new file."""
    engine = await open_database(f"sqlite:///{tmp_path}/gateway.db", "ari_gateway:migrations")
    yield Ledger(engine)
    await engine.dispose()


def a_call(state: calls_pb2.CallState.ValueType = calls_pb2.CALL_STATE_DIALING) -> calls_pb2.Call:
    """Make a call."""
    return calls_pb2.Call(attempt_id=str(uuid.uuid4()), state=state)


async def test_a_result_stays_until_it_is_acknowledged(ledger: Ledger) -> None:
    """An ended call is unreported until the reporter has it, also for a new process."""
    call = a_call()
    await ledger.begin(call, call.attempt_id)
    assert await ledger.unreported() == []
    call.state = calls_pb2.CALL_STATE_ENDED
    await ledger.end(call)
    assert [found.attempt_id for found in await ledger.unreported()] == [call.attempt_id]
    await ledger.reported(call.attempt_id)
    assert await ledger.unreported() == []
    assert await ledger.find([call.attempt_id]) == [call]


async def test_calls_of_a_killed_gateway_are_ended_and_kept(ledger: Ledger) -> None:
    """At start every unfinished call is hung up on Asterisk and has a result to report."""
    ringing = a_call()
    inbound = a_call(calls_pb2.CALL_STATE_ANSWERED)
    await ledger.begin(ringing, ringing.attempt_id)
    await ledger.begin(inbound, "17.4")
    deleted: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        deleted.append(request.url.path)
        return httpx.Response(404, json={})

    async with AriRest(
        AriAddress("http://asterisk/ari", "u", "p", "app"), transport=httpx.MockTransport(answer)
    ) as ari:
        assert await end_leftovers(ari, ledger) == 2
    assert f"/ari/channels/{ringing.attempt_id}" in deleted
    assert "/ari/channels/17.4" in deleted
    results = {call.attempt_id: call.outcome for call in await ledger.unreported()}
    assert results[ringing.attempt_id].reason == "gateway_restart"
    assert results[ringing.attempt_id].technical
    assert await ledger.unfinished() == []


async def ended_at(ledger: Ledger, moment: datetime) -> str:
    """Put a call on record that ended at a moment; give its attempt."""
    call = a_call(calls_pb2.CALL_STATE_ENDED)
    call.ended_at.FromDatetime(moment)
    await ledger.begin(call, call.attempt_id)
    await ledger.end(call)
    return call.attempt_id


async def test_ended_calls_are_found_by_their_end(ledger: Ledger) -> None:
    """Only calls that ended at the moment or later are given, to the microsecond; no live ones."""
    noon = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
    moments = (noon - timedelta(microseconds=1), noon, noon + timedelta(hours=1))
    before, at, after = [await ended_at(ledger, moment) for moment in moments]
    live = a_call()
    await ledger.begin(live, live.attempt_id)

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
    await ledger.begin(call, call.attempt_id)
    with pytest.raises(AlreadyOnRecord):
        await ledger.begin(
            calls_pb2.Call(attempt_id=call.attempt_id, line="another"), call.attempt_id
        )
    assert await ledger.find([call.attempt_id]) == [call]


async def test_calls_of_an_older_version_know_when_they_ended(tmp_path: Path) -> None:
    """The migration reads the end of each call from what was kept of it."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    engine = await open_database(url, "ari_gateway:migrations")
    noon = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
    attempts = [await ended_at(Ledger(engine), noon + timedelta(hours=hours)) for hours in range(3)]
    live = a_call()
    await Ledger(engine).begin(live, live.attempt_id)
    async with engine.begin() as connection:
        await connection.run_sync(_back_to_the_first_version)
        columns = await connection.execute(text("SELECT * FROM gateway_calls"))
        assert "ended_at" not in columns.keys()  # noqa: SIM118 - a method of the result
    await engine.dispose()
    engine = await open_database(url, "ari_gateway:migrations")
    found = await Ledger(engine).ended(since=noon + timedelta(hours=1))
    assert [call.attempt_id for call in found] == attempts[1:]
    assert [call.attempt_id for call, _ in await Ledger(engine).unfinished()] == [live.attempt_id]
    await engine.dispose()


def _back_to_the_first_version(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "ari_gateway:migrations")
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")
