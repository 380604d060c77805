"""The outreach call, from dialing to its one outcome."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.sessions.admission import AtCapacity
from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.talk import Talk
from ari_gateway.understanding import NotUnderstood, Understood
from gateway_support.asterisk import FarEnd
from gateway_support.house import CUSTOMER, OPERATOR, MemoryLedger, house, plan_of
from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2


def told(call: calls_pb2.Call) -> str:
    """Name a call's outcome as people do."""
    name = calls_pb2.Result.Name(call.outcome.result).removeprefix("RESULT_").lower()
    return f"{name}:{call.outcome.reason}" if call.outcome.reason else name


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


async def test_leaving_during_hello_is_a_hangup() -> None:
    """Who leaves during `hello` is a `hangup`, and nothing of the call stays."""
    async with house(FarEnd(leaves_s=1.0)) as here:
        assert told(await here.call()) == "hangup"
        assert here.asterisk.is_empty


async def test_leaving_during_listening_is_a_hangup() -> None:
    """Who leaves while listened to is a `hangup`, and the recording is deleted."""
    async with house(FarEnd(leaves_s=4.0, says=[3.0])) as here:
        assert told(await here.call()) == "hangup"
        assert here.asterisk.is_empty


async def test_leaving_while_understood_is_a_hangup() -> None:
    """Who leaves while his reply is being transcribed is a `hangup`."""
    async with house(FarEnd(leaves_s=6.0, says=[1.0]), Intent.YES) as here:
        here.ears.takes_s = 30
        assert told(await here.call()) == "hangup"
        assert here.asterisk.is_empty


async def test_leaving_while_a_reply_is_stored_leaves_no_audio() -> None:
    """Who leaves between the end of his reply and its file leaves nothing on Asterisk's disk."""
    async with house(FarEnd(says=[1.0])) as here:
        here.asterisk.stores_late_s = 0.5
        attempt_id = await here.placed()
        while not any(path.endswith("-r0/stop") for _, path in here.asterisk.requests):
            await asyncio.sleep(0.01)
        here.asterisk.leave(attempt_id)
        assert told(await here.ended(attempt_id)) == "hangup"
        await asyncio.sleep(1)
        assert here.asterisk.is_empty


async def test_an_event_that_is_too_much_ends_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """When an event breaks a call, that call fails and is cleared away; its neighbour goes on."""
    real = Talk.started

    def breaks(talk: Talk) -> None:
        monkeypatch.setattr(Talk, "started", real)
        raise ArithmeticError

    monkeypatch.setattr(Talk, "started", breaks)
    async with house(FarEnd(says=[1.0, 1.0]), Intent.NO, Intent.NO) as here:
        attempts = [await here.placed(), await here.placed()]
        results = sorted([told(await here.ended(attempt)) for attempt in attempts])
        assert results == ["failed:internal_error", "not_interested"]
        assert here.asterisk.is_empty


async def test_leaving_while_the_operator_rings_is_disconnected() -> None:
    """Who leaves while the operator rings is `disconnected`, and the operator's phone stops."""
    customer = FarEnd(says=[1.0], leaves_s=14.0)
    async with house(customer, Intent.YES, operator=FarEnd(rings_s=None)) as here:
        assert told(await here.call()) == "disconnected"
        assert here.asterisk.is_empty


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


async def test_a_lost_originate_is_looked_up_and_never_repeated() -> None:
    """A lost answer to an originate is looked up by channel; nothing is dialled again."""
    async with house(FarEnd()) as here:
        here.asterisk.failing["POST", "/channels"] = 0
        assert told(await here.call()) == "failed:originate_lost"
        posts = [path for method, path in here.asterisk.requests if method == "POST"]
        assert posts == ["/channels"]


async def test_a_refused_originate_names_the_trunk() -> None:
    """An originate that Asterisk cannot carry out is a technical failure of the trunk."""
    async with house(FarEnd()) as here:
        here.asterisk.failing["POST", "/channels"] = 500
        call = await here.call()
        assert told(call) == "failed:trunk_unreachable"
        assert call.outcome.technical


async def test_speech_away_ends_politely_and_technical() -> None:
    """When speech gives no answer the caller hears `goodby` and the result names the reason."""
    reply = NotUnderstood("speech_unavailable")
    async with house(FarEnd(says=[1.0]), reply) as here:
        call = await here.call()
        assert told(call) == "failed:speech_unavailable"
        assert call.outcome.technical
        assert here.asterisk.played == ["hello", "goodby"]


@pytest.mark.parametrize(
    ("gives_up_s", "says_after_s"),
    [(0.01, 1.0), (2.1, 1.0), (4.0, 0.5), (2.1, None)],
    ids=["at once", "in mid-word", "after the word", "in silence"],
)
async def test_an_asterisk_that_cannot_record_is_not_a_silent_caller(
    gives_up_s: float, says_after_s: float | None
) -> None:
    """Where Asterisk has no room for recordings the call fails technically: nobody was silent."""
    async with house(FarEnd(says=[says_after_s])) as here:
        here.asterisk.gives_up_s = gives_up_s
        call = await here.call()
        assert call.outcome.result == calls_pb2.RESULT_FAILED
        assert (call.outcome.reason, call.outcome.technical) == ("recording_failed", True)


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("verb", ["play", "record"])
async def test_a_lost_answer_costs_no_call(verb: str, *, carried_out: bool) -> None:
    """Where the answer to a request is lost, the call goes on, and nothing is done twice."""
    async with house(FarEnd(says=[1.0]), Intent.NO) as here:
        attempt_id = str(uuid.uuid4())
        here.asterisk.losing.append(("POST", f"/channels/{attempt_id}/{verb}", carried_out))
        call = await here.call(attempt_id)
        assert not here.asterisk.losing
        assert told(call) == "not_interested"
        assert here.asterisk.played == ["hello", "goodby"]
        assert here.asterisk.is_empty


@pytest.mark.parametrize("carried_out", [True, False])
async def test_an_operator_is_rung_once_though_the_answer_is_lost(*, carried_out: bool) -> None:
    """Where the answer to his originate is lost he is not rung twice, nor given up."""
    operator = FarEnd(rings_s=6, leaves_s=30)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as here:
        attempt_id = await here.placed()
        await asyncio.sleep(5)
        here.asterisk.losing.append(("POST", "/channels", carried_out))
        call = await here.ended(attempt_id)
        assert not here.asterisk.losing
        assert told(call) == "connected_to_operator"
        assert len(here.asterisk.originated) == 2
        assert here.asterisk.is_empty


async def test_an_operator_of_whom_nothing_is_known_is_not_left_ringing() -> None:
    """Where nobody can tell whether an operator's phone rings, his leg is ended all the same."""
    operator = FarEnd(rings_s=2, leaves_s=3600)
    async with house(FarEnd(says=[1.0]), Intent.YES, operator=operator) as here:
        attempt_id = await here.placed()
        await asyncio.sleep(5)
        unseen = ("GET", f"/channels/{attempt_id}-operator-0", False)
        here.asterisk.losing += [("POST", "/channels", True), *[unseen] * 3]
        call = await here.ended(attempt_id)
        assert not here.asterisk.losing
        assert told(call) == "failed:operator_unavailable"
        await asyncio.sleep(10)
        assert here.asterisk.is_empty


async def test_a_prompt_nobody_heard_begin_is_waited_for_all_the_same() -> None:
    """Where the link was away as a prompt began, its end is enough: the call goes on."""
    async with house(FarEnd(says=[1.0, 1.0]), Intent.NUMBER_QUESTION, Intent.NO) as here:
        here.asterisk.tell = lambda event: (
            None if isinstance(event, ev.PlaybackStarted) else here.manager.handle(event)
        )
        call = await here.call()
        assert told(call) == "not_interested"
        assert here.asterisk.played == ["hello", "number", "goodby"]


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
