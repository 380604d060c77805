"""Engines in their order: who is asked, who is passed over, and what is reported."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from speech.errors import (
    BadToken,
    InputRejected,
    NotConfigured,
    OutOfCredit,
    ProviderError,
    ProviderTooSlow,
    ProviderUnavailable,
)
from speech.stt.base import Outcome, Transcript, Utterance
from speech.stt.transcriber import Transcriber
from speech_support.engines import asked_of, chain_of, engine_of, transcriber_of
from speech_support.phone import hiss
from speech_support.time import LoopClock, in_virtual_time

SAID = Utterance(hiss(1, 100), "en")
AWAY = ProviderUnavailable("answered 500", retryable=True)


@in_virtual_time
async def test_the_first_that_answers_is_the_last_that_is_asked() -> None:
    """A good answer of the first engine costs nothing elsewhere."""
    first, second = engine_of("first"), engine_of("second")
    done = await chain_of(first, second).transcribe(SAID, 10.0)
    assert (done.transcript.text, done.engine, done.out_of_credit) == ("first", "first", False)
    assert asked_of(first, second) == [1, 0]


@in_virtual_time
async def test_not_understood_is_an_answer() -> None:
    """An engine that heard no words, or nobody, has answered: no other is asked."""
    for outcome in (Outcome.NOT_UNDERSTOOD, Outcome.NOTHING_SAID):
        first, second = engine_of("first"), engine_of("second")
        first.answer = Transcript(outcome)
        assert (await chain_of(first, second).transcribe(SAID, 10.0)).transcript.outcome is outcome
        assert asked_of(first, second) == [1, 0]


@in_virtual_time
async def test_the_next_is_asked_where_one_fails() -> None:
    """Whatever kind of failure it was, the next engine answers, and the change is counted."""

    def failovers() -> float:
        labels = {"engine": "first", "reason": "ProviderUnavailable"}
        return REGISTRY.get_sample_value("salehi_stt_failovers_total", labels) or 0.0

    before = failovers()
    for error in (AWAY, BadToken("no"), InputRejected("no"), ProviderTooSlow("slow")):
        first, second = engine_of("first", error), engine_of("second")
        done = await chain_of(first, second).transcribe(SAID, 10.0)
        assert (done.engine, done.out_of_credit) == ("second", False)
    assert failovers() == before + 1


@in_virtual_time
async def test_lack_of_credit_is_told_though_another_answered() -> None:
    """The flag stands while the engine refuses, asked or passed over, and goes when it answers."""
    first, second = (
        engine_of("first", OutOfCredit("empty"), OutOfCredit("empty")),
        engine_of("second"),
    )
    transcriber = chain_of(first, second)
    for _ in range(3):
        done = await transcriber.transcribe(SAID, 10.0)
        assert (done.engine, done.out_of_credit) == ("second", True)
    assert asked_of(first, second) == [1, 3]
    await asyncio.sleep(15)
    done = await transcriber.transcribe(SAID, 10.0)
    assert (done.engine, done.out_of_credit) == ("second", True)
    assert asked_of(first) == [2]
    await asyncio.sleep(15)
    done = await transcriber.transcribe(SAID, 10.0)
    assert (done.engine, done.out_of_credit) == ("first", False)


@in_virtual_time
async def test_an_engine_that_keeps_failing_is_passed_over() -> None:
    """After two failures in a row the engine is left alone for 15 s, then tried by one."""
    first, second = engine_of("first", AWAY, AWAY, AWAY), engine_of("second")
    transcriber = chain_of(first, second)
    for _ in range(4):
        assert (await transcriber.transcribe(SAID, 10.0)).engine == "second"
    assert asked_of(first) == [2]
    await asyncio.sleep(15)
    engines = [(await transcriber.transcribe(SAID, 10.0)).engine for _ in range(2)]
    assert engines == ["second", "second"]
    assert asked_of(first) == [3]
    await asyncio.sleep(15)
    engines = [(await transcriber.transcribe(SAID, 10.0)).engine for _ in range(2)]
    assert engines == ["first", "first"]


@in_virtual_time
async def test_only_one_tries_an_engine_that_was_passed_over() -> None:
    """While the trial is under way, others go to the next engine and do not wait for it."""
    first, second = engine_of("first", AWAY, AWAY), engine_of("second")
    transcriber = chain_of(first, second)
    for _ in range(2):
        await transcriber.transcribe(SAID, 10.0)
    await asyncio.sleep(15)
    first.open.clear()
    trial = asyncio.ensure_future(transcriber.transcribe(SAID, 10.0))
    await asyncio.sleep(0.1)
    assert (await transcriber.transcribe(SAID, 10.0)).engine == "second"
    first.open.set()
    assert (await trial).engine == "first"


@in_virtual_time
async def test_a_lonely_engine_that_is_passed_over_says_why_at_once() -> None:
    """With no other engine the error is of the kind that opened the breaker, without a wait."""
    for errors, kind in (
        ([OutOfCredit("empty")], OutOfCredit),
        ([BadToken("wrong")], BadToken),
        ([AWAY] * 4, ProviderUnavailable),
    ):
        engine = engine_of("first", *errors)
        transcriber = chain_of(engine)
        while engine.errors:
            with pytest.raises(kind):
                await transcriber.transcribe(SAID, 10.0)
        asked, began_s = len(engine.heard), asyncio.get_running_loop().time()
        for call in (transcriber.transcribe(SAID, 10.0), _expect(transcriber)):
            with pytest.raises(kind):
                await call
        assert (len(engine.heard), asyncio.get_running_loop().time()) == (asked, began_s)


async def _expect(transcriber: Transcriber) -> None:
    transcriber.expect_answer("en", 10.0)


@in_virtual_time
async def test_a_recording_an_engine_does_not_take_is_no_outage() -> None:
    """Refused input never opens a breaker: the next recording may be fine."""
    first, second = engine_of("first", *[InputRejected("no")] * 5), engine_of("second")
    transcriber = chain_of(first, second)
    for _ in range(6):
        await transcriber.transcribe(SAID, 10.0)
    assert asked_of(first, second) == [6, 5]


@in_virtual_time
async def test_an_engine_is_not_blamed_for_a_caller_in_a_hurry() -> None:
    """Callers who give half a second leave the breaker closed; those who give two open it."""
    engine = engine_of("first")
    transcriber = chain_of(engine)
    engine.open.clear()
    for budget_s, asked in ((0.5, 5), (2.0, 7)):
        for _ in range(5):
            with pytest.raises((ProviderTooSlow, ProviderUnavailable)):
                await transcriber.transcribe(SAID, budget_s)
        assert asked_of(engine) == [asked]


@in_virtual_time
async def test_the_first_engines_failure_is_reported() -> None:
    """A stand-in without credit does not stop a campaign because its own engine failed once."""
    slow, token, empty = ProviderTooSlow("slow"), BadToken("wrong"), OutOfCredit("empty")
    for errors in ([slow, token, empty], [empty, token, slow], [token, slow, AWAY]):
        engines = [engine_of(str(place), error) for place, error in enumerate(errors)]
        with pytest.raises(ProviderError) as caught:
            await chain_of(*engines).transcribe(SAID, 10.0)
        assert caught.value is errors[0]


@in_virtual_time
async def test_engines_that_do_not_speak_the_language_are_not_asked() -> None:
    """The first engine that understands the language is asked; with none, the setting is named."""
    english, persian = engine_of("english"), engine_of("persian")
    persian.languages = frozenset({"fa"})
    transcriber = chain_of(english, persian)
    said = Utterance(SAID.recording, "fa")
    transcriber.check_language("fa")
    assert (await transcriber.transcribe(said, 10.0)).engine == "persian"
    assert asked_of(english, persian) == [0, 1]
    with pytest.raises(NotConfigured, match="VIRA_STT_TOKEN or STT_BASE_URL"):
        chain_of(english).check_language("fa")


@in_virtual_time
async def test_hotwords_are_single_and_have_a_default() -> None:
    """Phrases are left out; where a request names none, those of the settings go along."""
    engine = engine_of("first")
    transcriber = transcriber_of(engine, hotwords=("adviser", "level test"), clock=LoopClock())
    await transcriber.transcribe(SAID, 10.0)
    await transcriber.transcribe(Utterance(SAID.recording, "en", (" yes ", "a b", "")), 10.0)
    assert [said.hotwords for said in engine.heard] == [("adviser",), ("yes",)]
