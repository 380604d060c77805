"""How a turn feels: when listening ends, who may break in, and what fills a long silence."""

from __future__ import annotations

import asyncio

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.sessions.call import Filler
from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.talk import Patience, Talk
from gateway_support.asterisk import PROMPT_S, FarEnd
from gateway_support.house import House, house
from salehi.calls.v1 import calls_pb2

PATIENCE = Patience(usual_ms=600, after_short_ms=400, short_ms=1200)
HELLO_BEGINS_S = 1.0


def now_s() -> float:
    """Give virtual time."""
    return asyncio.get_running_loop().time()


def later() -> asyncio.Future[bool]:
    """Give what is not done yet."""
    return asyncio.get_running_loop().create_future()


async def say(talk: Talk, *words: tuple[float, float]) -> None:
    """Talk: pairs of a pause and a length, seconds; told 400 ms after each as Asterisk does."""
    for pause_s, length_s in words:
        await asyncio.sleep(max(pause_s - 0.4, 0.0) if talk.ended_s else pause_s)
        talk.started()
        await asyncio.sleep(length_s + 0.4)
        talk.finished(now_s(), int(length_s * 1000), 400)


@pytest.mark.parametrize(
    ("words", "ends_s"),
    [
        (((1.0, 0.5),), 1.0 + 0.5 + 0.4),  # "yes": the short patience
        (((1.0, 2.0),), 1.0 + 2.0 + 0.6),  # a sentence: the usual one
        (((1.0, 0.5), (0.5, 1.0)), 1.0 + 0.5 + 0.4),  # too long a pause after a short word
        (((1.0, 1.5), (0.5, 1.0)), 1.0 + 1.5 + 0.5 + 1.0 + 0.6),  # a pause to think is none
    ],
)
async def test_listening_ends_after_the_right_silence(
    words: tuple[tuple[float, float], ...], ends_s: float
) -> None:
    """A short reply ends sooner than a long one, and a thought may pause within a sentence."""
    talk = Talk()
    began_s = now_s()
    speaker = asyncio.create_task(say(talk, *words))
    assert await talk.reply_ended(4.0, PATIENCE, later())
    assert now_s() - began_s == pytest.approx(ends_s, abs=0.01)
    await speaker


async def test_silence_from_the_start_has_its_own_limit() -> None:
    """Who says nothing is waited for as long as set; a click of the line is nothing said."""
    talk = Talk()
    began_s = now_s()
    click = asyncio.create_task(say(talk, (1.0, 0.02)))
    assert not await talk.reply_ended(4.0, PATIENCE, later())
    assert now_s() - began_s == pytest.approx(4.0, abs=0.01)
    await click


@pytest.mark.parametrize(("words", "spoke"), [(((1.0, 9.0),), True), ((), False)])
async def test_listening_ends_with_the_recording(
    words: tuple[tuple[float, float], ...], *, spoke: bool
) -> None:
    """When the recording is full, or the line is silent without a packet, the wait is over."""
    talk, recorded = Talk(), later()
    speaker = asyncio.create_task(say(talk, *words))
    asyncio.get_running_loop().call_later(3.0, recorded.set_result, True)
    began_s = now_s()
    assert await talk.reply_ended(4.0, PATIENCE, recorded) is spoke
    assert now_s() - began_s == pytest.approx(3.0, abs=0.01)
    await speaker


async def speaks_at(here: House, attempt_id: str, after_s: float, length_s: float = 0.5) -> None:
    """Let the customer talk some time from now."""
    await asyncio.sleep(after_s)
    here.asterisk.tell(ev.TalkingStarted(attempt_id))
    await asyncio.sleep(length_s + 0.7)
    here.asterisk.tell(ev.TalkingFinished(attempt_id, int(length_s * 1000)))


async def after_hello_is_known(here: House) -> None:
    """Lead one silent call, so that the prompts' lengths are known."""
    await here.call()
    here.asterisk.played.clear()


async def test_who_speaks_over_the_last_words_is_heard() -> None:
    """Speech in the last moments of a prompt stops it, and is taken for the reply."""
    customer = FarEnd(says=[None, None])
    async with house(customer, Intent.NO, barge_in_window_s=1.5) as here:
        await after_hello_is_known(here)
        attempt_id = await here.placed()
        await speaks_at(here, attempt_id, HELLO_BEGINS_S + PROMPT_S - 0.5)
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_NOT_INTERESTED
        deleted = [path for method, path in here.asterisk.requests if method == "DELETE"]
        assert any(path.startswith("/playbacks/") for path in deleted)
        assert here.asterisk.is_empty


async def test_who_greets_at_the_beginning_hears_the_prompt_to_its_end() -> None:
    """Speech before the last moments of a prompt neither stops it nor counts as the reply."""
    async with house(FarEnd(says=[None, 1.0]), Intent.NO, barge_in_window_s=1.5) as here:
        await after_hello_is_known(here)
        began_s = now_s()
        attempt_id = await here.placed()
        await speaks_at(here, attempt_id, HELLO_BEGINS_S + 0.3)
        call = await here.ended(attempt_id)
        assert call.outcome.result == calls_pb2.RESULT_NOT_INTERESTED
        assert now_s() - began_s > HELLO_BEGINS_S + PROMPT_S + 1.0
        assert not [
            path
            for method, path in here.asterisk.requests
            if method == "DELETE" and path.startswith("/playbacks/")
        ]


async def test_a_noise_that_cut_the_prompt_off_makes_it_play_again() -> None:
    """When nothing was said after a prompt gave way, it is played once more, to its end."""
    async with house(FarEnd(says=[None, None, 1.0]), Intent.NO, barge_in_window_s=1.5) as here:
        await after_hello_is_known(here)
        attempt_id = await here.placed()
        await speaks_at(here, attempt_id, HELLO_BEGINS_S + PROMPT_S - 0.5, length_s=0.02)
        call = await here.ended(attempt_id)
        assert here.asterisk.played == ["hello", "hello", "goodby"]
        assert call.outcome.result == calls_pb2.RESULT_NOT_INTERESTED
        assert len(call.outcome.turns) == 1


async def test_a_line_that_hears_itself_does_not_stop_the_prompt() -> None:
    """What comes and goes before the last moments is an echo, and is one in them, too."""
    async with house(FarEnd(says=[None, 1.0]), Intent.NO, barge_in_window_s=0.5) as here:
        await after_hello_is_known(here)
        attempt_id = await here.placed()
        await asyncio.sleep(HELLO_BEGINS_S)
        for _ in range(5):
            await asyncio.sleep(PROMPT_S / 10)
            here.asterisk.tell(ev.TalkingStarted(attempt_id))
            await asyncio.sleep(PROMPT_S / 10)
            here.asterisk.tell(ev.TalkingFinished(attempt_id, 100))
        await here.ended(attempt_id)
        assert here.asterisk.played == ["hello", "goodby"]
        deleted = [path for method, path in here.asterisk.requests if method == "DELETE"]
        assert not any(path.startswith("/playbacks/") for path in deleted)


async def test_after_a_false_alarm_no_prompt_of_that_call_gives_way() -> None:
    """A line that cut one prompt off with noise hears the others to their end."""
    customer = FarEnd(says=[1.0, 1.0, None, 1.0, 1.0])
    replies = (Intent.NUMBER_QUESTION, Intent.NO) * 2
    async with house(customer, *replies, barge_in_window_s=1.5) as here:
        await here.call()  # the prompts' lengths are known
        here.asterisk.played.clear()
        attempt_id = await here.placed()
        await speaks_at(here, attempt_id, HELLO_BEGINS_S + PROMPT_S - 0.5, length_s=0.02)
        while "number" not in here.asterisk.played:
            await asyncio.sleep(0.1)
        await speaks_at(here, attempt_id, PROMPT_S - 0.5, length_s=0.02)
        await here.ended(attempt_id)
        assert here.asterisk.played == ["hello", "hello", "number", "goodby"]
        deleted = [path for method, path in here.asterisk.requests if method == "DELETE"]
        assert len([path for path in deleted if path.startswith("/playbacks/")]) == 1


async def test_the_recording_waits_for_the_end_of_the_prompt() -> None:
    """The recording is asked for before the prompt ends, so that no word falls between them."""
    async with house(FarEnd(says=[None, None]), barge_in_window_s=1.0) as here:
        await after_hello_is_known(here)
        before = len(here.asterisk.requests)
        attempt_id = await here.placed()
        await asyncio.sleep(HELLO_BEGINS_S + PROMPT_S - 0.5)
        asked = [path for _, path in here.asterisk.requests[before:]]
        assert f"/channels/{attempt_id}/record" in asked
        await here.ended(attempt_id)


@pytest.mark.parametrize(("takes_s", "fillers"), [(1.0, 0), (4.0, 1)])
async def test_a_long_silence_of_ours_is_filled(takes_s: float, fillers: int) -> None:
    """When understanding takes longer than set after the end of speech, `moment` is played once."""
    filler = Filler("moment", 2.0, lambda: True)
    async with house(FarEnd(says=[1.0]), Intent.NO, filler=filler) as here:
        here.ears.takes_s = takes_s
        await here.call()
        assert here.asterisk.played == ["hello", *["moment"] * fillers, "goodby"]
        assert here.asterisk.is_empty


async def test_a_filler_that_is_not_there_is_left_out() -> None:
    """Without the prompt the caller waits in silence, and the call goes on."""
    filler = Filler("moment", 2.0, lambda: False)
    async with house(FarEnd(says=[1.0]), Intent.NO, filler=filler) as here:
        here.ears.takes_s = 4.0
        await here.call()
        assert here.asterisk.played == ["hello", "goodby"]
