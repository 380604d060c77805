"""Calls on record survive the process."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.leftovers import end_leftovers
from ari_gateway.sessions.ledger import Ledger
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
