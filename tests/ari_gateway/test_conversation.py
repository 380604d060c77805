"""The outreach call, from dialing to its one outcome."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.sessions.admission import AtCapacity
from ari_gateway.sessions.outcome import Intent
from ari_gateway.understanding import NotUnderstood, Understood
from gateway_support.asterisk import FarEnd
from gateway_support.house import CUSTOMER, OPERATOR, MemoryLedger, house, plan_of, told
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2


async def test_a_yes_is_connected_to_the_operator() -> None:
    """Who says yes hears `yes`, then `onhold`, and talks to the operator in a bridge."""
    async with house(FarEnd(says=[1.0]), Intent.YES) as here:
        call = await here.call()
        assert told(call) == "connected_to_operator"
        assert here.asterisk.played[:3] == ["hello", "yes", "onhold"]
        assert call.outcome.operator_extension == "200"
        assert here.asterisk.is_empty


async def test_the_operator_sees_the_customers_number() -> None:
    """The operator's leg carries the customer's national number as caller ID."""
    async with house(FarEnd(says=[1.0]), Intent.YES) as here:
        await here.call()
        leg = here.asterisk.originated[1]
        assert leg["endpoint"] == OPERATOR
        assert leg["callerId"] == "09120000101"


@pytest.mark.parametrize("intent", [Intent.NO, Intent.DO_NOT_CALL])
async def test_a_no_ends_politely(intent: Intent) -> None:
    """Who says no, or asks not to be called again, hears `goodby` and is `not_interested`."""
    async with house(FarEnd(says=[1.0]), intent) as here:
        call = await here.call()
        assert told(call) == "not_interested"
        assert here.asterisk.played == ["hello", "goodby"]
        assert here.asterisk.is_empty
        channel = f"/channels/{here.asterisk.originated[0]['channelId']}"
        assert here.asterisk.requests.count(("DELETE", channel)) == 1


@pytest.mark.parametrize(
    ("then", "result"),
    [
        (Intent.YES, "connected_to_operator"),
        (Intent.NO, "not_interested"),
        (Intent.NUMBER_QUESTION, "hangup"),
        (Intent.UNKNOWN, "hangup"),
    ],
)
async def test_the_number_question_is_answered_once(then: Intent, result: str) -> None:
    """After `number` the engine listens once more, and only a yes goes to the operator."""
    async with house(FarEnd(says=[1.0, 1.0]), Intent.NUMBER_QUESTION, then) as here:
        call = await here.call()
        assert told(call) == result
        assert here.asterisk.played[:2] == ["hello", "number"]
        assert here.asterisk.played.count("number") == 1
        assert len(call.outcome.turns) == 2


async def test_the_result_says_how_each_turn_was_decided() -> None:
    """Words, engine, path, confidence and evidence of a turn stand in the call's result."""
    reply = Understood("نه", Intent.NO, "DECIDED_BY_LLM", 0.75, "gpt-4o-mini", "vira")
    async with house(FarEnd(says=[1.0]), reply) as here:
        (turn,) = (await here.call()).outcome.turns
    assert (turn.heard, turn.engine) == ("نه", "vira")
    assert turn.decided_by == intent_pb2.DECIDED_BY_LLM
    assert (turn.confidence, turn.evidence) == (0.75, "gpt-4o-mini")


async def test_lack_of_credit_stands_in_the_result_once() -> None:
    """A call that was served without the paid providers names each of them once."""
    question = Understood("از کجا", Intent.NUMBER_QUESTION, out_of_credit=("stt", "llm"))
    unpaid = NotUnderstood("speech_out_of_credit", ("stt",))
    async with house(FarEnd(says=[1.0, 1.0]), question, unpaid) as here:
        call = await here.call()
    assert told(call) == "failed:speech_out_of_credit"
    assert list(call.outcome.out_of_credit) == ["stt", "llm"]


async def test_silence_costs_nothing() -> None:
    """A silent caller hears `goodby` without speech or intent having been asked."""
    async with house(FarEnd(says=[None])) as here:
        call = await here.call()
        assert told(call) == "hangup"
        assert here.ears.asked == 0
        assert here.asterisk.played == ["hello", "goodby"]


@pytest.mark.parametrize("silence_s", [0.2, 2.5, 3.5])
async def test_a_caller_may_think_first(silence_s: float) -> None:
    """A caller who stays silent for up to three and a half seconds first is still heard."""
    async with house(FarEnd(says=[silence_s]), Intent.NO) as here:
        assert told(await here.call()) == "not_interested"


@pytest.mark.parametrize("operator", [FarEnd(refuses=17), FarEnd(rings_s=None)])
async def test_no_operator_is_said_politely(operator: FarEnd) -> None:
    """When no operator answers, the customer hears `goodby` and the result says why."""
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as here:
        call = await here.call()
        assert told(call) == "failed:operator_unavailable"
        assert not call.outcome.technical
        assert here.asterisk.played[-1] == "goodby"


async def test_the_operators_trunk_refuses() -> None:
    """An operator who cannot be dialled at all is like one who does not answer."""
    async with house(FarEnd(says=[1.0]), Intent.YES) as here:
        del here.asterisk.far_ends[OPERATOR]
        here.asterisk.far_ends[OPERATOR] = FarEnd(refuses=34)
        assert told(await here.call()) == "failed:operator_unavailable"


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        (17, "missed:busy"),
        (19, "missed:no_answer"),
        (18, "missed:no_answer"),
        (20, "missed:unreachable"),
        (21, "missed:rejected"),
        (1, "failed:invalid_number"),
        (28, "failed:invalid_number"),
        (34, "failed:congestion"),
        (38, "failed:congestion"),
        (127, "failed:unknown_cause"),
    ],
)
async def test_a_dialing_without_answer_has_a_name(cause: int, result: str) -> None:
    """Each cause of a dialing that was not answered gives the campaign's word for it."""
    async with house(FarEnd(refuses=cause)) as here:
        assert told(await here.call()) == result
        assert here.asterisk.played == []


async def test_a_dead_trunk_is_not_a_person_who_does_not_answer() -> None:
    """Ringing that nobody heard (cause 19, never RINGING) is congestion, and technical."""
    async with house(FarEnd(rings_s=None, never_heard=True)) as here:
        call = await here.call()
        assert told(call) == "failed:congestion"
        assert call.outcome.technical


async def test_an_attempt_is_dialled_once() -> None:
    """A repeated request for the same attempt is answered with its state and dials nothing."""
    async with house(FarEnd(says=[1.0]), Intent.NO) as here:
        attempt_id = str(uuid.uuid4())
        await here.call(attempt_id)
        again = await here.manager.place(plan_of(attempt_id))
        assert again.already_known
        assert told(again.call) == "not_interested"
        assert len(here.asterisk.originated) == 1


async def test_two_requests_at_once_dial_once() -> None:
    """The same attempt asked for twice in the same moment is dialled once."""
    async with house(FarEnd(says=[1.0]), Intent.NO) as here:
        attempt_id = str(uuid.uuid4())
        first = await here.manager.place(plan_of(attempt_id))
        second = await here.manager.place(plan_of(attempt_id))
        assert (first.already_known, second.already_known) == (False, True)
        await here.ended(attempt_id)
        assert len(here.asterisk.originated) == 1


async def test_a_hundred_calls_leave_no_task_and_no_call_behind() -> None:
    """After many calls of every kind as many tasks run as before the first, and none is live."""
    kinds = [FarEnd(says=[1.0]), FarEnd(), FarEnd(rings_s=None), FarEnd(leaves_s=2)]
    replies = [Intent.YES, Intent.NO] * 25
    async with house(kinds[0], *replies, operator=FarEnd(rings_s=1, leaves_s=5)) as here:
        await here.placed()
        await asyncio.sleep(120)
        before = len(asyncio.all_tasks())
        for number in range(100):
            here.asterisk.far_ends[CUSTOMER] = replace(
                kinds[number % 4], says=[1.0] * (number % 4 == 0)
            )
            await here.placed()
            await asyncio.sleep(120)
        assert len(asyncio.all_tasks()) == before
        assert here.manager.live == []
        assert here.asterisk.is_empty


async def test_a_missing_prompt_fails_the_call() -> None:
    """A prompt that cannot be played ends the call as a technical failure."""
    async with house(FarEnd()) as here:
        here.asterisk.missing.add("hello")
        call = await here.call()
        assert told(call) == "failed:prompt_missing"
        assert call.outcome.technical
        assert here.asterisk.is_empty


async def test_a_requested_hang_up_ends_the_call() -> None:
    """HangUp ends a ringing call, and its leg is gone."""
    async with house(FarEnd(rings_s=None)) as here:
        plan = plan_of(str(uuid.uuid4()))
        await here.manager.place(plan)
        assert here.manager.hang_up(plan.attempt_id, "hung_up_by_request")
        assert told(await here.ended(plan.attempt_id)) == "failed:hung_up_by_request"
        assert here.asterisk.is_empty


async def test_an_inbound_call_gets_the_same_conversation() -> None:
    """A caller who enters the application is answered and led through the same scenario."""
    async with house(FarEnd(), Intent.YES) as here:
        here.asterisk.arrive("17.1", "09123334455", "02191001001", FarEnd(says=[1.0]))
        while not here.ledger.calls:
            await _moment()
        attempt_id = next(iter(here.ledger.calls))
        call = await here.ended(attempt_id)
        assert told(call) == "connected_to_operator"
        assert call.direction == calls_pb2.DIRECTION_INBOUND
        assert call.line == "02191001001"
        assert here.asterisk.is_empty


@pytest.mark.parametrize("seen_leaving", [True, False])
async def test_a_caller_who_gives_up_unanswered_has_hung_up(*, seen_leaving: bool) -> None:
    """Nothing of ours failed, and no event need have said that he left."""
    async with house(FarEnd()) as here:
        here.asterisk.arrive("17.1", "09123334455", "02191001001", FarEnd())
        if seen_leaving:
            here.asterisk.tell(ev.ChannelDestroyed("17.1", 127, 0, "Ring"))
        here.asterisk.channels.clear()
        while not here.ledger.calls:
            await _moment()
        call = await here.ended(next(iter(here.ledger.calls)))
        assert told(call) == "hangup"
        assert not call.outcome.technical
        assert not call.HasField("answered_at")


async def test_a_late_leg_of_a_finished_call_is_hung_up() -> None:
    """A leg that answers when its call is over is hung up at once, not greeted as a caller."""
    async with house(FarEnd()) as here:
        name = f"{uuid.uuid4()}-operator-0"
        here.asterisk.channels[name] = FarEnd()
        here.asterisk.tell(ev.StasisStart(name, ("operator", "x"), "", "", "Up"))
        await _moment()
        assert here.asterisk.is_empty
        assert not here.ledger.calls


async def test_a_full_gateway_refuses() -> None:
    """With MAX_LIVE_CALLS calls under way the next one is refused and not dialled."""
    async with house(FarEnd(rings_s=None), max_live_calls=1) as here:
        await here.manager.place(plan_of(str(uuid.uuid4())))
        with pytest.raises(AtCapacity):
            await here.manager.place(plan_of(str(uuid.uuid4())))
        await _moment()
        assert len(here.asterisk.originated) == 1


async def _moment() -> None:
    await asyncio.sleep(0.1)


async def test_nobody_hears_of_an_end_that_is_not_on_record() -> None:
    """A call that is over is neither listed as live nor told as ended before its end is kept."""
    ledger = MemoryLedger(takes_s=2)
    async with house(FarEnd(rings_s=None), ledger=ledger) as here:
        plan = plan_of(str(uuid.uuid4()))
        await here.manager.place(plan)
        await asyncio.sleep(1)
        assert [call.attempt_id for call in here.manager.live_calls()] == [plan.attempt_id]
        here.manager.hang_up(plan.attempt_id, "hung_up_by_request")
        await asyncio.sleep(1)
        assert here.asterisk.is_empty
        assert ledger.calls[plan.attempt_id].state != calls_pb2.CALL_STATE_ENDED
        assert here.manager.live_calls() == []
        assert (await here.ended(plan.attempt_id)).state == calls_pb2.CALL_STATE_ENDED
