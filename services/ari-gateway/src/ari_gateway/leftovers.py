"""Calls that a crash of the gateway left behind: ended on Asterisk, and their results kept."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from ari_gateway.ari.errors import AriError
from ari_gateway.ari.rest import AriRest
from ari_gateway.sessions.handover import bridge_id_of
from ari_gateway.sessions.ledger import Ledger
from salehi.calls.v1 import calls_pb2

log = structlog.get_logger(__name__)


async def end_leftovers(ari: AriRest, ledger: Ledger) -> int:
    """End every call on record that had not ended; give how many there were.

    A call that had reached an operator keeps that result; any other ends as
    `failed:gateway_restart`.
    """
    leftovers = await ledger.unfinished()
    for call, channel_id in leftovers:
        try:
            await ari.hang_up(f"{call.attempt_id}-operator")
            await ari.hang_up(channel_id)
            await ari.delete_bridge(bridge_id_of(call.attempt_id))
        except AriError as error:
            log.warning(
                "a leftover could not be ended",
                attempt_id=call.attempt_id,
                reason=type(error).__name__,
            )
        connected = call.state == calls_pb2.CALL_STATE_CONNECTED
        call.state = calls_pb2.CALL_STATE_ENDED
        call.ended_at.FromDatetime(datetime.now(UTC))
        if connected:
            call.outcome.result = calls_pb2.RESULT_CONNECTED_TO_OPERATOR
        else:
            call.outcome.result = calls_pb2.RESULT_FAILED
            call.outcome.reason = "gateway_restart"
            call.outcome.technical = True
        await ledger.end(call)
    if leftovers:
        log.warning("calls of an earlier run were ended", calls=len(leftovers))
    return len(leftovers)
