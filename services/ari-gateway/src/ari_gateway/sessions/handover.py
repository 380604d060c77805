"""Handing a customer over to an operator."""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from ari_gateway.ari.errors import AriConflict, AriError, AriRefused
from ari_gateway.ari.rest import Originate
from ari_gateway.metrics import OPERATOR_RINGS, OPERATOR_WAIT_SECONDS, TALK_SECONDS
from ari_gateway.sessions.legs import Leg, LegState
from ari_gateway.sessions.plan import Person
from ari_gateway.sessions.rota import Rota
from ari_gateway.sessions.waits import LONGEST_STEP_S

if TYPE_CHECKING:
    from ari_gateway.sessions.call import Call

log = structlog.get_logger(__name__)

_CALLER_ID = re.compile(r"[0-9]{3,15}", re.ASCII)
_LONGEST_TALK_S = 4 * 3600.0
_EVENT_BEHIND_ANSWER_S = 0.2
_OPERATOR = "-operator-"


class Transfer(enum.Enum):
    """How a transfer ended."""

    TALKED = "talked"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class OperatorDesk:
    """How operators are reached.

    Attributes:
        rota: who takes the next call.
        trunk: PJSIP endpoint in front of the extensions, or None for local ones.
        fallback_caller_id: shown when the customer's number is not known.
        ring_timeout_s: how long one operator may ring.
        tries: how many operators are rung for one customer.
        wait_s: how long a customer waits for an operator, all in all, seconds.
    """

    rota: Rota
    trunk: str | None
    fallback_caller_id: str | None
    ring_timeout_s: int
    tries: int = 3
    wait_s: float = 60.0

    def endpoint_of(self, extension: str) -> str:
        """What Asterisk dials."""
        return f"PJSIP/{extension}@{self.trunk}" if self.trunk else f"PJSIP/{extension}"

    def caller_id_for(self, person: Person) -> str:
        """Give the customer's number as an operator reads it, or the fallback."""
        for number in (person.national_number, person.number.lstrip("+")):
            if _CALLER_ID.fullmatch(number):
                return number
        return self.fallback_caller_id or ""


async def transfer(call: Call, desk: OperatorDesk, hold_prompt: str) -> Transfer:
    """Ring operators while the customer hears the hold prompt; bridge; wait for the end.

    A transfer that another gateway began is gone on with where it stands: two who talk are not
    disturbed, an operator who still rings is waited for.

    Returns:
        TALKED when an operator answered and then left first, UNAVAILABLE when none could be had.

    Raises:
        CallerHungUp: the customer left; the operator's leg is ended by the call's teardown.
    """
    live = call.live
    attempt_id, record = live.plan.attempt_id, live.record
    try:
        with call.step("operator"):
            if record.operator_answered_at is None and not await _connected(
                call, desk, hold_prompt
            ):
                return Transfer.UNAVAILABLE
            desk.rota.hold(attempt_id, record.operator_extension)
            await _talk(call)
            return Transfer.TALKED
    finally:
        desk.rota.let_go(attempt_id, record.operator_extension)


async def _connected(call: Call, desk: OperatorDesk, hold_prompt: str) -> bool:
    """Find an operator and bridge; False when none could be had."""
    live, record = call.live, call.live.record
    began_s = _now_s()
    record.calling_operator = True
    live.tell()
    while True:
        async with call.music(hold_prompt):
            leg = await _someone_answers(call, desk, began_s + desk.wait_s)
        if leg is None:
            call.fail("operator_unavailable", technical=False)
            record.calling_operator, record.callback_wanted = False, True
            live.tell()
            return False
        if await _bridged(call, leg):
            OPERATOR_WAIT_SECONDS.observe(_now_s() - began_s)
            record.operator_answered_at = datetime.now(UTC)
            live.tell()
            return True


async def _someone_answers(call: Call, desk: OperatorDesk, deadline_s: float) -> Leg | None:
    """Ring one operator after the other until one answers; None when nobody does."""
    record, attempt_id = call.live.record, call.live.plan.attempt_id
    if call.live.journal.taken_over and record.operator_extension:
        leg = await _rings_on(call, desk)
        if leg is not None:
            return leg
    while len(record.operators_tried) < desk.tries:
        extension = await _next_operator(call, desk, deadline_s)
        if extension is None:
            return None
        record.operator_extension = extension
        record.operators_tried.append(extension)
        leg = await _ring(call, desk, deadline_s)
        if leg.state is LegState.UP:
            return leg
        desk.rota.let_go(attempt_id, extension)
    return None


async def _rings_on(call: Call, desk: OperatorDesk) -> Leg | None:
    """Wait for the operator another gateway was ringing; None when he does not answer any more."""
    live, extension = call.live, call.live.record.operator_extension
    leg = live.operator
    if leg is not None and leg.state is not LegState.GONE:
        desk.rota.hold(live.plan.attempt_id, extension)
        if leg.state is not LegState.UP:
            answered = live.waits.expect("operator", leg.channel_id)
            await _awaited(call, answered, desk.ring_timeout_s)
        if leg.state is LegState.UP:
            return leg
        desk.rota.let_go(live.plan.attempt_id, extension)
    # Whoever answered while nobody led the call was hung up on, perhaps only now.
    live.record.let_ring_again()
    return None


async def _next_operator(call: Call, desk: OperatorDesk, deadline_s: float) -> str | None:
    """Hold a free operator who was not rung yet, waiting for one; None when nobody is left."""
    attempt_id, tried = call.live.plan.attempt_id, call.live.record.operators_tried
    while (extension := desk.rota.take(attempt_id, tried)) is None:
        left_s = deadline_s - _now_s()
        if left_s <= 0 or set(desk.rota.extensions) <= set(tried):
            return None
        try:
            await call.live.during_call(desk.rota.changed(), left_s)
        except TimeoutError:
            return None
    return extension


async def _ring(call: Call, desk: OperatorDesk, deadline_s: float) -> Leg:
    """Ring the operator who is held, until he answers or not."""
    live, record = call.live, call.live.record
    leg = live.operator = Leg(operator_channel_id(live.plan.attempt_id, record.operator_rings))
    record.operator_rings += 1
    live.tell()
    answered = live.waits.expect("operator", leg.channel_id)
    ring_s = max(1, min(desk.ring_timeout_s, round(deadline_s - _now_s())))
    originate = Originate(
        channel_id=leg.channel_id,
        endpoint=desk.endpoint_of(record.operator_extension),
        args=f"operator,{live.plan.attempt_id}",
        timeout_s=ring_s,
        caller_id=desk.caller_id_for(live.plan.person),
        variables={},
    )
    try:
        # Seen through to its answer though the customer leaves meanwhile: a leg that comes to life
        # after the teardown would ring for nobody.
        originated = call.seen_to(
            lambda: call.ari.originate(originate),
            lambda: call.ari.channel_exists(leg.channel_id),
        )
        async with _seen_through(originated) as request:
            await live.during_call(asyncio.shield(request), LONGEST_STEP_S)
        await _awaited(call, answered, ring_s)
    except (AriError, TimeoutError) as error:
        with suppress(AriError):  # it may ring all the same: only the answer was lost
            await call.ari.hang_up(leg.channel_id)
        leg.move(LegState.GONE)
        OPERATOR_RINGS.labels("refused").inc()
        log.warning(
            "an operator could not be called",
            attempt_id=live.plan.attempt_id,
            extension=record.operator_extension,
            reason=type(error).__name__,
        )
    else:
        OPERATOR_RINGS.labels("answered" if leg.state is LegState.UP else "not_answered").inc()
    return leg


@asynccontextmanager
async def _seen_through(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a request that must not be abandoned when the block is left."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await asyncio.wait({task})


async def _awaited(call: Call, answered: Awaitable[object], ring_s: int) -> None:
    """Wait until the operator answers or his leg is gone."""
    await call.live.during_call(answered, ring_s + LONGEST_STEP_S)


async def _bridged(call: Call, leg: Leg) -> bool:
    """Let customer and operator hear each other; False when the operator is gone already."""
    bridge_id = bridge_id_of(call.live.plan.attempt_id)
    members = {leg.channel_id, call.live.plan.channel_id}
    with call.asking_asterisk():
        with suppress(AriConflict):  # made by the gateway that led the call before
            await call.until(call.ari.create_bridge(bridge_id), LONGEST_STEP_S)
        if call.live.journal.taken_over and members <= await call.until(
            call.ari.bridge_members(bridge_id), LONGEST_STEP_S
        ):
            return True
        try:
            await call.until(call.ari.add_to_bridge(bridge_id, *sorted(members)), LONGEST_STEP_S)
        except AriRefused:
            # One of them left in this moment; the event that says so is on its way.
            await call.live.during_call(asyncio.sleep(_EVENT_BEHIND_ANSWER_S), LONGEST_STEP_S)
            if leg.state is not LegState.GONE:
                raise
            return False
    return True


async def _talk(call: Call) -> None:
    """Wait until customer or operator leaves, and note how long they talked."""
    live, leg = call.live, call.live.operator
    answered_at = live.record.operator_answered_at or datetime.now(UTC)
    began_s = _now_s() - max(0.0, (datetime.now(UTC) - answered_at).total_seconds())
    try:
        if leg is not None and leg.state is LegState.UP:
            left = live.waits.expect("operator_left", leg.channel_id)
            if live.journal.taken_over:
                await _bridged(call, leg)
            if leg.state is LegState.UP:
                await call.until(left, _LONGEST_TALK_S)
    finally:
        live.record.talk_s = _now_s() - began_s
        TALK_SECONDS.observe(live.record.talk_s)


def bridge_id_of(attempt_id: str) -> str:
    """Give the id of a call's bridge."""
    return f"{attempt_id}-bridge"


def operator_channel_id(attempt_id: str, ring: int) -> str:
    """Give the id of the operator's leg of a call, one for each ringing."""
    return f"{attempt_id}{_OPERATOR}{ring}"


def attempt_of_channel(channel_id: str) -> str:
    """Give the attempt an outbound channel belongs to, customer's or operator's."""
    return channel_id.partition(_OPERATOR)[0]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
