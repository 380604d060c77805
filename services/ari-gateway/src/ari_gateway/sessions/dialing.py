"""How a call begins: the customer's leg is originated and answers, or is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ari_gateway.ari.errors import AriConflict, AriNotSent, AriRefused, AriUnavailable
from ari_gateway.ari.rest import Originate
from ari_gateway.sessions.endings import CallFailed
from ari_gateway.sessions.waits import LONGEST_STEP_S

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call

log = structlog.get_logger(__name__)


async def dial(call: Call) -> None:
    """Originate the customer's leg, unless that was done, and wait for the answer.

    Raises:
        NotAnswered: the far end is busy, does not answer, …; the record says how.
        CallFailed: Asterisk refused, what became of the dialing is unknown, or it is too late to
            dial.
        CallOver: the call was ended before it was dialled; nothing is dialled.
    """
    plan = call.live.plan
    answered = call.live.waits.expect("answered", plan.channel_id)
    with call.step("dial") as span:
        if not call.live.dialled:
            await _originate(call)
            call.live.has_left()
        try:
            await call.until(answered, plan.ring_timeout_s + LONGEST_STEP_S)
        finally:
            span.set_attribute("disposition", call.live.record.disposition.value)


async def _originate(call: Call) -> None:
    plan = call.live.plan
    originate = Originate(
        channel_id=plan.channel_id,
        endpoint=plan.endpoint,
        args=f"outbound,{plan.attempt_id}",
        timeout_s=plan.ring_timeout_s,
        caller_id=plan.caller_id,
        variables={"TALK_DETECT(set)": call.tools.listening.talk_detect},
        sent_within_s=_left_to_dial_s(call),
    )
    try:
        await call.ari.originate(originate)
    except AriNotSent as error:
        raise CallFailed("asterisk_unavailable", technical=True) from error
    except AriUnavailable:
        # Lost, not refused: look it up, never originate again.
        with call.asking_asterisk():
            if not await call.ari.channel_exists(plan.channel_id):
                raise CallFailed("originate_lost", technical=True) from None
    except AriConflict:
        log.info("the channel lives already", attempt_id=plan.attempt_id)
    except AriRefused as error:
        reason = "trunk_unreachable" if error.status >= 500 else "endpoint_refused"
        raise CallFailed(reason, technical=True) from error


def _left_to_dial_s(call: Call) -> float | None:
    """Say how long the originate may take to leave; None when that does not matter.

    Raises:
        CallFailed: `asked_too_late`: the moment it had to leave before is past.
        CallOver: the call is over already.
    """
    if call.live.over is not None:
        raise call.live.over
    before = call.live.plan.originate_before
    if before is None:
        return None
    left_s = (before - call.tools.clock.now()).total_seconds()
    if left_s <= 0:
        # Nothing is broken at the trunk or here: whoever asked wanted it so.
        raise CallFailed("asked_too_late", technical=False)
    return left_s


async def accept(call: Call) -> None:
    """Answer an inbound call."""
    with call.step("answer"), call.asking_asterisk():
        channel_id = call.live.plan.channel_id
        # Before anything plays: later it would wait behind the playback.
        await call.ari.set_variable(
            channel_id, "TALK_DETECT(set)", call.tools.listening.talk_detect
        )
        await call.ari.answer(channel_id)
        call.live.answered()
