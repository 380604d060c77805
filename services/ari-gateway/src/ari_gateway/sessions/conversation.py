"""One call from its first request to nothing left of it on Asterisk."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from ari_gateway.ari.errors import AriError
from ari_gateway.scenarios.registry import Scenario
from ari_gateway.sessions.call import Call
from ari_gateway.sessions.dialing import accept, dial
from ari_gateway.sessions.endings import CallFailed, CallOver
from ari_gateway.sessions.handover import bridge_id_of
from ari_gateway.sessions.journal import ScenarioChanged
from ari_gateway.sessions.legs import LegState

log = structlog.get_logger(__name__)

_LONGEST_FAREWELL_S = 3.0
_TOLD_WITHIN_S = 0.1
"""How long Asterisk takes, mostly, to say that a channel it was told to end is gone."""


async def lead(call: Call, scenario: Scenario) -> None:
    """Supervise one call: whatever goes wrong in it ends as its outcome, nobody else's."""
    live = call.live
    try:
        await converse(call, scenario)
    except Exception:
        # Supervisor of one call: the failure is logged, and named in the call's outcome.
        log.exception("a call failed unexpectedly")
        live.end(CallFailed("internal_error", technical=True))
        call.fail("internal_error", technical=True)
        live.record.verdict = live.record.judge(inbound=live.plan.inbound)


async def converse(call: Call, scenario: Scenario) -> None:
    """Dial or answer, run the scenario, clear everything away, and judge what it came to."""
    live = call.live
    try:
        if live.record.answered_at is None:
            await (accept(call) if live.plan.inbound else dial(call))
        await scenario.run(call)
    except CallFailed as ending:
        log.warning(
            "a call failed",
            reason=ending.failure.reason,
            cause=str(ending.__cause__ or ""),
        )
        call.fail(ending.failure.reason, technical=ending.failure.technical)
    except ScenarioChanged as error:
        log.warning("a call of another version cannot be gone on with", reason=str(error))
        call.fail("scenario_changed", technical=True)
    except CallOver as ending:
        log.debug("the call ended", how=type(ending).__name__)
    finally:
        call.end_turn()
        if not live.abandoned:
            await clear_away(call)
    live.record.ended_at = datetime.now(UTC)
    live.record.verdict = live.record.judge(inbound=live.plan.inbound)


async def clear_away(call: Call) -> None:
    """Leave nothing on Asterisk: no leg rings on, no bridge, no recording stays.

    Whatever cannot be removed now (Asterisk is away) is removed when the link is back.
    """
    live = call.live
    gone = live.waits.expect("gone", live.customer.channel_id)
    try:
        async with asyncio.timeout(_LONGEST_FAREWELL_S * 2):
            if live.operator is not None and live.operator.state is not LegState.GONE:
                await call.ari.hang_up(live.operator.channel_id)
            if live.customer.state is not LegState.GONE and not call.hung_up:
                await call.ari.hang_up(live.customer.channel_id)
            if live.operator is not None:
                await call.ari.delete_bridge(bridge_id_of(live.plan.attempt_id))
            await _see_gone(call, gone)
            for name, recorded in list(call.recordings.items()):
                await asyncio.wait({recorded}, timeout=1)
                await call.delete_recording(name)
            if live.journal.taken_over:
                await _delete_recordings_left_behind(call)
    except (AriError, TimeoutError) as error:
        log.warning("a call could not be cleared away", reason=type(error).__name__)


async def _see_gone(call: Call, gone: asyncio.Future[bool]) -> None:
    """Wait until the customer's channel, which was hung up, is no more."""
    customer = call.live.customer
    if customer.state is not LegState.GONE:
        await asyncio.wait({gone}, timeout=_TOLD_WITHIN_S)
    if customer.state is not LegState.GONE and await call.ari.channel_exists(customer.channel_id):
        await asyncio.wait({gone}, timeout=_LONGEST_FAREWELL_S)


async def _delete_recordings_left_behind(call: Call) -> None:
    for name in await call.ari.stored_recordings():
        if name.startswith(f"{call.live.plan.attempt_id}-"):
            await call.ari.delete_recording(name)
