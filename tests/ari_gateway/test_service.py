"""CallService's words for what the manager says."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ari_gateway.service import CallServicer
from ari_gateway.sessions.sql_ledger import SqlLedger
from gateway_support.asterisk import FarEnd
from gateway_support.house import CUSTOMER, House, house
from salehi.calls.v1 import calls_pb2
from servicekit.database import open_database
from servicekit.storage import WholeTransactions
from support.timing import eventually

pytestmark = pytest.mark.real_time


class Aborted(Exception):  # noqa: N818 - how a handler ends
    """The RPC ended with a status."""


class Context:
    """What a handler is given."""

    async def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End the RPC."""
        raise Aborted(code.name, details)


@asynccontextmanager
async def served(tmp_path: Path, customer: FarEnd) -> AsyncIterator[tuple[House, Any]]:
    """Give a house with a real ledger, and its servicer."""
    engine = await open_database(f"sqlite:///{tmp_path}/g.db", "ari_gateway:migrations")
    ledger = SqlLedger(WholeTransactions(engine))
    async with house(customer, ledger=ledger) as here:
        yield here, CallServicer(here.manager, ledger, here.manager.why_no_outbound)
    await engine.dispose()


def request(**changes: Any) -> calls_pb2.PlaceCallRequest:
    """Ask for a call to the customer."""
    return calls_pb2.PlaceCallRequest(
        attempt_id=str(uuid.uuid4()), endpoint=CUSTOMER, ring_timeout_s=20, **changes
    )


def stamp(moment: datetime) -> Timestamp:
    """Write a moment as the contract does."""
    written = Timestamp()
    written.FromDatetime(moment)
    return written


async def test_push_back_is_resource_exhausted_and_not_ready(tmp_path: Path) -> None:
    """While intent is full PlaceCall is RESOURCE_EXHAUSTED, and ListCalls gives the same reason."""
    async with served(tmp_path, FarEnd()) as (here, servicer):
        here.pressure.pushed_back("intent", "full")
        reason = "intent is full: no new outbound calls for 2 s"
        with pytest.raises(Aborted) as refusal:
            await servicer.PlaceCall(request(), Context())
        assert refusal.value.args == ("RESOURCE_EXHAUSTED", reason)
        listed = await servicer.ListCalls(calls_pb2.ListCallsRequest(), Context())
        assert (listed.ready_to_dial, listed.not_ready_reason) == (False, reason)
        here.clock.advance(2)
        listed = await servicer.ListCalls(calls_pb2.ListCallsRequest(), Context())
        assert (listed.ready_to_dial, listed.not_ready_reason) == (True, "")
        assert here.asterisk.originated == []


async def test_asked_too_late_is_failed_precondition(tmp_path: Path) -> None:
    """A call whose originate_before is past is FAILED_PRECONDITION, and nothing is dialled."""
    async with served(tmp_path, FarEnd()) as (here, servicer):
        late = request(originate_before=stamp(here.clock.now() - timedelta(milliseconds=100)))
        with pytest.raises(Aborted) as refusal:
            await servicer.PlaceCall(late, Context())
        code, details = refusal.value.args
        assert code == "FAILED_PRECONDITION"
        assert details.startswith("asked too late: originate_before was 0.1 s ago")
        assert here.asterisk.originated == []
        in_time = request(originate_before=stamp(here.clock.now() + timedelta(seconds=1)))
        assert not (await servicer.PlaceCall(in_time, Context())).already_known


@pytest.mark.parametrize("seconds", [-(10**11), 10**12])
async def test_an_impossible_moment_is_invalid(tmp_path: Path, seconds: int) -> None:
    """A moment outside the years 1 to 9999 is INVALID_ARGUMENT where one is asked for."""
    async with served(tmp_path, FarEnd()) as (here, servicer):
        moment = Timestamp(seconds=seconds)
        with pytest.raises(Aborted, match=r"INVALID_ARGUMENT.*originate_before"):
            await servicer.PlaceCall(request(originate_before=moment), Context())
        with pytest.raises(Aborted, match=r"INVALID_ARGUMENT.*ended_since"):
            await servicer.ListCalls(calls_pb2.ListCallsRequest(ended_since=moment), Context())
        assert here.asterisk.originated == []


async def test_ended_calls_are_listed_since_a_moment(tmp_path: Path) -> None:
    """Ended calls come since the moment asked for, live ones always, once, by direction."""
    async with served(tmp_path, FarEnd(rings_s=0.01, refuses=17)) as (here, servicer):
        first, second = request(), request()
        await servicer.PlaceCall(first, Context())
        await here.ended_in_ledger(first.attempt_id)
        between = datetime.now(UTC)
        await servicer.PlaceCall(second, Context())
        await here.ended_in_ledger(second.attempt_id)
        here.asterisk.far_ends[CUSTOMER] = FarEnd(rings_s=None)
        ringing = request()
        await servicer.PlaceCall(ringing, Context())

        async def listed(**asked: Any) -> list[str]:
            wanted = calls_pb2.ListCallsRequest(include_ended=True, **asked)
            calls = (await servicer.ListCalls(wanted, Context())).calls
            return [call.attempt_id for call in calls]

        every = [asked.attempt_id for asked in (first, second, ringing)]
        assert await listed() == every
        assert await listed(ended_since=stamp(between)) == every[1:]
        assert await listed(ended_since=stamp(between), attempt_ids=every[:1]) == []
        assert await listed(attempt_ids=every[:1]) == every[:1]
        assert await listed(direction=calls_pb2.DIRECTION_OUTBOUND) == every
        assert await listed(direction=calls_pb2.DIRECTION_INBOUND) == []


async def test_a_hang_up_may_spare_answered_calls(tmp_path: Path) -> None:
    """HangUp with unless_answered leaves an answered call alone; without it the call ends."""
    async with served(tmp_path, FarEnd(rings_s=0.0)) as (here, servicer):
        asked = request()
        await servicer.PlaceCall(asked, Context())
        live = here.manager.live[0]
        await eventually(lambda: live.record.answered_at is not None)
        spare = calls_pb2.HangUpRequest(attempt_id=asked.attempt_id, unless_answered=True)
        await servicer.HangUp(spare, Context())
        assert live.over is None
        await servicer.HangUp(calls_pb2.HangUpRequest(attempt_id=asked.attempt_id), Context())
        assert live.over is not None


async def test_a_call_says_when_it_has_left(tmp_path: Path) -> None:
    """Once Asterisk has taken the originate the call says so, while it still rings."""
    async with served(tmp_path, FarEnd(rings_s=None)) as (here, servicer):
        await servicer.PlaceCall(request(), Context())

        async def has_left() -> bool:
            [call] = (await servicer.ListCalls(calls_pb2.ListCallsRequest(), Context())).calls
            return bool(call.HasField("originated_at"))

        await eventually(has_left)
        assert [live.record.answered_at for live in here.manager.live] == [None]
