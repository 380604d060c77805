from __future__ import annotations

import asyncio

import grpc
import pytest

from dialer.claim import Claimer, Refusal
from dialer.pauses import Pause, PauseKind, hold, in_force
from dialer.stopping import Extent, stop_in_force, stop_pause
from dialer_support.campaign import add, number, refused, static_contact
from dialer_support.gateway import Context, FakeGateway
from dialer_support.served import RULES, Doors, Stub
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2
from servicekit.storage import Storage
from support.timing import HandClock, eventually, running


def call_out(gateway: FakeGateway, attempt_id: str, state: calls_pb2.CallState.ValueType) -> str:
    """Let the gateway have an outbound call."""
    direction = calls_pb2.DIRECTION_OUTBOUND
    call = calls_pb2.Call(attempt_id=attempt_id, direction=direction, state=state, line="1001")
    gateway.calls[attempt_id] = call
    return attempt_id


def stop_request(*, end_answered: bool = False) -> dialer_pb2.EmergencyStopRequest:
    """Ask for a stop."""
    return dialer_pb2.EmergencyStopRequest(reason="fire", by="Sara", end_answered=end_answered)


class ObeyingGateway(FakeGateway):
    """Ends calls when asked to, unless it is away or a call is stuck."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.stuck: set[str] = set()

    async def ListCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.ListCallsRequest, context: Context
    ) -> calls_pb2.ListCallsResponse:
        """List calls, if here."""
        if self.away:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer")
        return await super().ListCalls(request, context)

    async def HangUp(  # noqa: N802 - the contract's name
        self, request: calls_pb2.HangUpRequest, context: Context
    ) -> calls_pb2.HangUpResponse:
        """End a call, the way the contract says."""
        if request.attempt_id in self.stuck:
            await context.abort(grpc.StatusCode.INTERNAL, "stuck")
        call = self.calls[request.attempt_id]
        if not (request.unless_answered and call.state >= calls_pb2.CALL_STATE_ANSWERED):
            self.end(request.attempt_id)
        return await super().HangUp(request, context)


@pytest.fixture
def fake_gateway() -> ObeyingGateway:
    """Give a gateway that ends calls."""
    return ObeyingGateway()


async def test_a_stop_ends_what_nobody_answered(
    stub: Stub, storage: Storage, clock: HandClock, fake_gateway: ObeyingGateway
) -> None:
    """Dialing is paused, calls that ring are ended; talks and inbound calls go on."""
    await add(storage, [static_contact(1)], clock)
    dialing = call_out(fake_gateway, "a", calls_pb2.CALL_STATE_DIALING)
    ringing = call_out(fake_gateway, "b", calls_pb2.CALL_STATE_RINGING)
    call_out(fake_gateway, "c", calls_pb2.CALL_STATE_ANSWERED)
    fake_gateway.ring_in("1001", number(5))
    stopped = await stub.EmergencyStop(stop_request(), timeout=15)
    assert (stopped.calls_ended, stopped.gateway_reached) == (2, True)
    assert sorted(fake_gateway.hung_up) == [dialing, ringing]
    assert (await refused(Claimer(storage, RULES, clock))).why is Refusal.PAUSED
    [pause] = (await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)).pauses
    assert pause.kind == dialer_pb2.PAUSE_KIND_MANUAL
    assert (pause.reason, pause.by) == ("emergency stop: fire", "Sara")
    again = await stub.EmergencyStop(stop_request(), timeout=15)
    assert (again.calls_ended, again.gateway_reached) == (0, True)


async def test_a_stop_of_all_ends_talks_too(stub: Stub, fake_gateway: ObeyingGateway) -> None:
    """With end_answered every outbound call is ended; inbound ones go on."""
    states = [calls_pb2.CALL_STATE_RINGING, calls_pb2.CALL_STATE_CONNECTED]
    ours = [call_out(fake_gateway, f"c{state}", state) for state in states]
    fake_gateway.ring_in("1001", number(5))
    stopped = await stub.EmergencyStop(stop_request(end_answered=True), timeout=15)
    assert stopped.calls_ended == 2
    assert sorted(fake_gateway.hung_up) == sorted(ours)


async def test_calls_that_were_on_their_way_are_ended_too(
    stub: Stub, doors: Doors, fake_gateway: ObeyingGateway
) -> None:
    """A call that turns up after the stop is ended; after the pause is lifted none is."""
    async with running(doors.stopper.run()):
        assert (await stub.EmergencyStop(stop_request(), timeout=15)).calls_ended == 0
        late = call_out(fake_gateway, "late", calls_pb2.CALL_STATE_DIALING)
        await eventually(lambda: fake_gateway.hung_up == [late], within_s=1)
        await stub.Resume(dialer_pb2.ResumeRequest(), timeout=5)
        call_out(fake_gateway, "after", calls_pb2.CALL_STATE_DIALING)
        looked = fake_gateway.listed
        await asyncio.sleep(0.6)  # twice as long as it waits between looks
    assert fake_gateway.listed <= looked + 1
    assert fake_gateway.hung_up == [late]


async def test_a_gateway_that_is_away_is_asked_until_it_answers(
    stub: Stub, storage: Storage, doors: Doors, clock: HandClock, fake_gateway: ObeyingGateway
) -> None:
    """The stop holds though nobody could be hung up; that follows when the gateway is back."""
    await add(storage, [static_contact(1)], clock)
    ringing = call_out(fake_gateway, "a", calls_pb2.CALL_STATE_RINGING)
    fake_gateway.away = True
    async with running(doors.stopper.run()):
        stopped = await stub.EmergencyStop(stop_request(), timeout=15)
        assert (stopped.calls_ended, stopped.gateway_reached) == (0, False)
        assert (await refused(Claimer(storage, RULES, clock))).why is Refusal.PAUSED
        clock.advance(60)  # past the time in which late calls turn up
        fake_gateway.away = False
        await eventually(lambda: fake_gateway.hung_up == [ringing])


async def test_a_call_that_cannot_be_ended_keeps_none_of_the_others(
    stub: Stub, fake_gateway: ObeyingGateway
) -> None:
    """One hang-up that fails is told as such; all the other calls are ended."""
    calls = {call_out(fake_gateway, f"c{n}", calls_pb2.CALL_STATE_RINGING) for n in range(120)}
    fake_gateway.stuck = {"c7"}
    stopped = await stub.EmergencyStop(stop_request(), timeout=15)
    assert (stopped.calls_ended, stopped.gateway_reached) == (119, False)
    assert set(fake_gateway.hung_up) == calls - {"c7"}


@pytest.mark.parametrize("extent", list(Extent))
async def test_a_stop_survives_a_crash_right_after_its_commit(
    storage: Storage, doors: Doors, fake_gateway: ObeyingGateway, extent: Extent
) -> None:
    """A dialer that finds a stop in the database ends the calls it would have ended then."""
    ringing = call_out(fake_gateway, "a", calls_pb2.CALL_STATE_RINGING)
    talking = call_out(fake_gateway, "b", calls_pb2.CALL_STATE_ANSWERED)
    meant = [ringing, talking] if extent is Extent.ALL else [ringing]
    async with storage.transaction() as connection:
        await hold(connection, stop_pause(extent, "x" * 500, "Sara", 0))
    async with running(doors.stopper.run()):
        await eventually(lambda: sorted(fake_gateway.hung_up) == meant)


@pytest.mark.parametrize("kind", list(PauseKind))
async def test_a_plain_pause_ends_no_call(
    storage: Storage, doors: Doors, fake_gateway: ObeyingGateway, kind: PauseKind
) -> None:
    """Calls under way go on through every pause that is no emergency stop."""
    call_out(fake_gateway, "a", calls_pb2.CALL_STATE_RINGING)
    reason = "lunch" if kind is PauseKind.MANUAL else "emergency stop: but not a person's"
    async with storage.transaction() as connection:
        await hold(connection, Pause(kind, reason, "x", 0))
    async with running(doors.stopper.run()):
        await asyncio.sleep(0.3)
    assert fake_gateway.listed == 0


async def test_a_plain_pause_neither_is_a_stop_nor_ends_one(stub: Stub, storage: Storage) -> None:
    """A pause worded like a stop is refused; one that follows a stop leaves the stop in force."""
    with pytest.raises(grpc.RpcError, match="emergency stop's"):
        await stub.Pause(dialer_pb2.PauseRequest(reason="emergency stop: fire"), timeout=5)
    await stub.EmergencyStop(stop_request(), timeout=15)
    await stub.Pause(dialer_pb2.PauseRequest(reason="lunch"), timeout=5)
    async with storage.transaction() as connection:
        held = await in_force(connection)
    assert stop_in_force(held) is Extent.UNANSWERED
