"""CallService, both sides: the real servicer behind a real server, the real stub before it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc import aio

from ari_gateway.service import CALLS, CallServicer
from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.sql_ledger import SqlLedger
from gateway_support.asterisk import FarEnd
from gateway_support.house import CUSTOMER, House, house
from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from servicekit.channel import Peer
from servicekit.database import open_database
from servicekit.server import GrpcServer, GrpcService
from servicekit.storage import WholeTransactions


@pytest.fixture(autouse=True)
def _short_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_support.asterisk.PROMPT_S", 0.02)


@asynccontextmanager
async def served(
    tmp_path: Path, customer: FarEnd, *replies: Intent, max_live_calls: int = 10
) -> AsyncIterator[tuple[House, calls_pb2_grpc.CallServiceAsyncStub]]:
    """Serve a house with a real ledger."""
    engine = await open_database(f"sqlite:///{tmp_path}/g.db", "ari_gateway:migrations")
    ledger = SqlLedger(WholeTransactions(engine))
    async with house(customer, *replies, max_live_calls=max_live_calls, ledger=ledger) as here:
        servicer = CallServicer(here.manager, ledger, lambda: here.not_ready)
        server = GrpcServer(
            [GrpcService(CALLS, calls_pb2_grpc.add_CallServiceServicer_to_server, servicer)]
        )
        port = await server.start("127.0.0.1", 0, "ARI_GATEWAY_PORT")
        async with Peer(f"127.0.0.1:{port}", CALLS) as peer:
            await peer.wait_ready()
            yield here, calls_pb2_grpc.CallServiceStub(peer.channel)
        here.manager.hang_up_all("the test is over")
        await here.manager.feed.close()
        await server.drain(0)
    await engine.dispose()


def request(**changes: object) -> calls_pb2.PlaceCallRequest:
    """Ask for a call to the customer."""
    fields: dict[str, object] = {
        "attempt_id": str(uuid.uuid4()),
        "endpoint": CUSTOMER,
        "line": "02191001001",
        "ring_timeout_s": 20,
        "contact": calls_pb2.Contact(source="static", number="+989120000101"),
        **changes,
    }
    return calls_pb2.PlaceCallRequest(**fields)  # type: ignore[arg-type]


async def code_of(call: object) -> grpc.StatusCode:
    """Give the status an RPC ends with."""
    try:
        await call  # type: ignore[misc]
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt_id": "x"},
        {"attempt_id": "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"},
        {"endpoint": "PJSIP/1&PJSIP/2@trunk"},
        {"endpoint": "Local/100@from-internal"},
        {"endpoint": "PJSIP/۱۲۳@trunk"},
        {"caller_id": "+98912"},
        {"ring_timeout_s": 0},
        {"ring_timeout_s": 121},
        {"scenario": "unheard of"},
    ],
)
async def test_a_malformed_request_dials_nothing(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """A malformed id, endpoint, number or time is INVALID_ARGUMENT, and nothing is dialled."""
    async with served(tmp_path, FarEnd()) as (here, stub):
        code = await code_of(stub.PlaceCall(request(**changes), timeout=5))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert here.asterisk.originated == []


async def test_not_ready_and_full_are_told_apart(tmp_path: Path) -> None:
    """Not ready is FAILED_PRECONDITION, full is RESOURCE_EXHAUSTED, and neither dials."""
    async with served(tmp_path, FarEnd(rings_s=None), max_live_calls=1) as (here, stub):
        here.not_ready = "no prompts"
        code = await code_of(stub.PlaceCall(request(), timeout=5))
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        listed = await stub.ListCalls(calls_pb2.ListCallsRequest(), timeout=5)
        assert (listed.ready_to_dial, listed.not_ready_reason) == (False, "no prompts")
        here.not_ready = ""
        await stub.PlaceCall(request(), timeout=5)
        code = await code_of(stub.PlaceCall(request(), timeout=5))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await asyncio.sleep(0.05)
        assert len(here.asterisk.originated) == 1


async def test_a_call_is_watched_to_its_end_and_remembered(tmp_path: Path) -> None:
    """WatchCalls tells how a call goes on to its outcome; ListCalls remembers the ended call."""
    async with served(tmp_path, FarEnd(rings_s=0.3, says=[0.3]), Intent.NO) as (_, stub):
        watch = stub.WatchCalls(calls_pb2.WatchCallsRequest())
        first = await anext(aiter(watch))
        assert first.HasField("snapshot")
        asked = request()
        await stub.PlaceCall(asked, timeout=5)
        states: list[int] = []
        async for news in watch:
            states.append(news.changed.state)
            if news.changed.state == calls_pb2.CALL_STATE_ENDED:
                break
        assert states == sorted(states)
        assert states[0] in {calls_pb2.CALL_STATE_DIALING, calls_pb2.CALL_STATE_RINGING}
        assert news.changed.HasField("answered_at")
        again = await stub.PlaceCall(asked, timeout=5)
        assert again.already_known
        assert again.call.outcome.result == calls_pb2.RESULT_NOT_INTERESTED
        live = await stub.ListCalls(calls_pb2.ListCallsRequest(), timeout=5)
        assert not live.calls
        wanted = calls_pb2.ListCallsRequest(attempt_ids=[asked.attempt_id], include_ended=True)
        remembered = await stub.ListCalls(wanted, timeout=5)
        assert [call.attempt_id for call in remembered.calls] == [asked.attempt_id]


async def test_hanging_up_is_idempotent(tmp_path: Path) -> None:
    """HangUp of a live and of an ended call are both fine; of an unknown one NOT_FOUND."""
    async with served(tmp_path, FarEnd(rings_s=None)) as (here, stub):
        asked = request()
        await stub.PlaceCall(asked, timeout=5)
        hang_up = calls_pb2.HangUpRequest(attempt_id=asked.attempt_id, reason="test")
        assert await code_of(stub.HangUp(hang_up, timeout=5)) is grpc.StatusCode.OK
        await here.ended_in_ledger(asked.attempt_id)
        assert await code_of(stub.HangUp(hang_up, timeout=5)) is grpc.StatusCode.OK
        unknown = calls_pb2.HangUpRequest(attempt_id=str(uuid.uuid4()))
        assert await code_of(stub.HangUp(unknown, timeout=5)) is grpc.StatusCode.NOT_FOUND
