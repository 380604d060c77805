"""Handing a customer over to an operator."""

from __future__ import annotations

import enum
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from opentelemetry import trace

from ari_gateway.ari.errors import AriError
from ari_gateway.ari.rest import Originate
from ari_gateway.metrics import TALK_SECONDS
from ari_gateway.sessions.legs import Leg, LegState
from ari_gateway.sessions.plan import Person
from ari_gateway.sessions.waits import LONGEST_STEP_S

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

_CALLER_ID = re.compile(r"[0-9]{3,15}", re.ASCII)
_LONGEST_TALK_S = 4 * 3600.0


class Transfer(enum.Enum):
    """How a transfer ended."""

    TALKED = "talked"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class OperatorDesk:
    """How operators are reached.

    Attributes:
        extension: digits, or None when no operator is configured.
        trunk: PJSIP endpoint in front of the extension, or None for a local extension.
        fallback_caller_id: shown when the customer's number is not known.
        ring_timeout_s: how long an operator may ring.
    """

    extension: str | None
    trunk: str | None
    fallback_caller_id: str | None
    ring_timeout_s: int

    @property
    def endpoint(self) -> str:
        """What Asterisk dials."""
        return f"PJSIP/{self.extension}@{self.trunk}" if self.trunk else f"PJSIP/{self.extension}"

    def caller_id_for(self, person: Person) -> str:
        """Give the customer's number as an operator reads it, or the fallback."""
        for number in (person.national_number, person.number.lstrip("+")):
            if _CALLER_ID.fullmatch(number):
                return number
        return self.fallback_caller_id or ""


async def transfer(call: Call, desk: OperatorDesk, hold_prompt: str) -> Transfer:
    """Ring the operator while the customer hears the hold prompt; bridge; wait for the end.

    Returns:
        TALKED when the operator answered and then left first, UNAVAILABLE when none answered.

    Raises:
        CallerHungUp: the customer left; the operator's leg is ended by the call's teardown.
    """
    live = call.live
    if desk.extension is None:
        call.fail("operator_unavailable", technical=False)
        return Transfer.UNAVAILABLE
    leg = Leg(f"{live.plan.attempt_id}-operator")
    live.operator = leg
    live.record.calling_operator = True
    live.tell()
    with tracer.start_as_current_span("operator", live.plan.trace, record_exception=False):
        async with call.music(hold_prompt):
            state = await _ring(call, desk, leg)
        if state is not LegState.UP:
            call.fail("operator_unavailable", technical=False)
            live.record.calling_operator = False
            live.tell()
            return Transfer.UNAVAILABLE
        await _talk(call, desk, leg)
        return Transfer.TALKED


async def _ring(call: Call, desk: OperatorDesk, leg: Leg) -> LegState:
    live = call.live
    answered = live.waits.expect("operator", leg.channel_id)
    originate = Originate(
        channel_id=leg.channel_id,
        endpoint=desk.endpoint,
        args=f"operator,{live.plan.attempt_id}",
        timeout_s=desk.ring_timeout_s,
        caller_id=desk.caller_id_for(live.plan.person),
        variables={},
    )
    try:
        await live.during_call(call.ari.originate(originate), LONGEST_STEP_S)
        return LegState(await live.during_call(answered, desk.ring_timeout_s + LONGEST_STEP_S))
    except (AriError, TimeoutError) as error:
        log.warning(
            "the operator could not be called",
            attempt_id=live.plan.attempt_id,
            reason=type(error).__name__,
        )
        return LegState.GONE


async def _talk(call: Call, desk: OperatorDesk, leg: Leg) -> None:
    """Let customer and operator talk until one of them leaves."""
    live = call.live
    left = live.waits.expect("operator_left", leg.channel_id)
    bridge_id = bridge_id_of(live.plan.attempt_id)
    with call.asking_asterisk():
        await call.until(call.ari.create_bridge(bridge_id), LONGEST_STEP_S)
        await call.until(
            call.ari.add_to_bridge(bridge_id, leg.channel_id, live.plan.channel_id),
            LONGEST_STEP_S,
        )
    # Only now do they hear each other.
    live.record.operator_extension = desk.extension or ""
    live.record.operator_answered_at = datetime.now(UTC)
    live.tell()
    began_s = time.monotonic()
    try:
        if leg.state is LegState.UP:
            await call.until(left, _LONGEST_TALK_S)
    finally:
        live.record.talk_s = time.monotonic() - began_s
        TALK_SECONDS.observe(live.record.talk_s)


def bridge_id_of(attempt_id: str) -> str:
    """Give the id of a call's bridge."""
    return f"{attempt_id}-bridge"
