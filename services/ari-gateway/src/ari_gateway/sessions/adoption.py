"""Takes over what another gateway left, and clears away what belongs to no live call.

Only what is in our own application is touched: channels, bridges and recordings of others are
left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from ari_gateway.ari.rest import AriRest
from ari_gateway.metrics import ADOPTED_CALLS
from ari_gateway.sessions.handover import attempt_of_channel, bridge_id_of, operator_channel_id
from ari_gateway.sessions.ledger import Entry, Ledger
from ari_gateway.sessions.legs import Leg, LegState
from ari_gateway.sessions.live import LiveCall
from ari_gateway.sessions.manager import SessionManager
from ari_gateway.sessions.outcome import Failure, Intent
from ari_gateway.sessions.saved import NotReadable, SavedCall
from ari_gateway.wire import described
from salehi.calls.v1 import calls_pb2

log = structlog.get_logger(__name__)

_RECORDING = re.compile(r"(?P<attempt>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})-r\d+")
_DECIDED = {Intent.NO, Intent.DO_NOT_CALL}
_LOST = Failure("gateway_restart", technical=True)


async def take_over(manager: SessionManager, ari: AriRest, ledger: Ledger) -> None:
    """Go on with every call on record that still lives; end and keep the others.

    Raises:
        AriError: Asterisk does not answer.
        StoreUnavailable: the ledger is away.
    """
    states = await ari.channel_states()
    adopted = ended = 0
    for entry in await ledger.unfinished():
        saved = _read(entry)
        if saved is not None and entry.channel_id in states:
            await _end_unknown_leg(saved, states, ari)
            manager.resume(saved, lambda live: _fit(live, states))
            adopted += 1
        else:
            # Not in our application before it was talked in: nobody else would find it.
            await ari.delete_bridge(bridge_id_of(entry.call.attempt_id))
            call = _ended(entry, saved)
            await ledger.end(call)
            manager.ended(call)
            ended += 1
    ADOPTED_CALLS.labels("adopted").inc(adopted)
    ADOPTED_CALLS.labels("ended").inc(ended)
    if adopted or ended:
        log.warning("calls of another gateway were taken over", adopted=adopted, ended=ended)


async def clear_strays(manager: SessionManager, ari: AriRest) -> None:
    """End channels, bridges and recordings of our application that belong to no live call.

    Raises:
        AriError: Asterisk does not answer.
    """
    live = {call.plan.attempt_id for call in manager.live}
    own_channels = {call.plan.channel_id for call in manager.live}
    ours, states = await ari.application(), await ari.channel_states()
    strays = [
        channel
        for channel in ours.channels & states.keys()
        if channel not in own_channels and attempt_of_channel(channel) not in live
    ]
    for channel in strays:
        await ari.hang_up(channel)
    for bridge in ours.bridges - {bridge_id_of(attempt) for attempt in live}:
        await ari.delete_bridge(bridge)
    for name in await ari.stored_recordings():
        found = _RECORDING.fullmatch(name)
        if found and found["attempt"] not in live:
            await ari.delete_recording(name)
    if strays:
        log.warning("channels of no live call were ended", channels=len(strays))


def _read(entry: Entry) -> SavedCall | None:
    try:
        return SavedCall.from_bytes(entry.saved)
    except NotReadable as error:
        log.warning(
            "a call cannot be gone on with", attempt_id=entry.call.attempt_id, reason=str(error)
        )
        return None


async def _end_unknown_leg(saved: SavedCall, states: Mapping[str, str], ari: AriRest) -> None:
    """End an operator's leg that was begun before that was on record: he is rung anew."""
    plan, record = saved.plan, saved.record
    while (leg := operator_channel_id(plan.attempt_id, record.operator_rings)) in states:
        await ari.hang_up(leg)
        record.operator_rings += 1


def _fit(live: LiveCall, states: Mapping[str, str]) -> None:
    """Bring what is known of a call's legs in line with Asterisk's channels."""
    if live.record.answered_at is None and states[live.customer.channel_id] == "Up":
        live.answered()
    rings = live.record.operator_rings
    if rings:
        channel_id = operator_channel_id(live.plan.attempt_id, rings - 1)
        if channel_id in states:
            state = LegState.UP if states[channel_id] == "Up" else LegState.RINGING
            live.operator = Leg(channel_id, state)


def _ended(entry: Entry, saved: SavedCall | None) -> calls_pb2.Call:
    """Say what a call came to that cannot be gone on with.

    What was decided before stands: an operator who talked, a no. Anything else was cut off by us.
    """
    if saved is None:
        return _ended_unread(entry.call)
    record = saved.record
    last = record.turns[-1].reply.intent if record.turns else None
    if last not in _DECIDED:
        record.failure = record.failure or _LOST
    record.ended_at = datetime.now(UTC)
    record.verdict = record.judge(inbound=saved.plan.inbound)
    return described(saved.plan, record, calls_pb2.CALL_STATE_ENDED)


def _ended_unread(call: calls_pb2.Call) -> calls_pb2.Call:
    connected = call.state == calls_pb2.CALL_STATE_CONNECTED
    call.state = calls_pb2.CALL_STATE_ENDED
    call.ended_at.FromDatetime(datetime.now(UTC))
    if connected:
        call.outcome.result = calls_pb2.RESULT_CONNECTED_TO_OPERATOR
    else:
        call.outcome.result = calls_pb2.RESULT_FAILED
        call.outcome.reason, call.outcome.technical = _LOST.reason, _LOST.technical
    return call
