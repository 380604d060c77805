"""What stands before every engine."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from speech.errors import OutOfCredit, ProviderRefused, ProviderTooSlow, ProviderUnavailable
from speech.guard import Patience
from speech.stt.base import Utterance
from speech_support.engines import ScriptedStt, transcriber_of
from speech_support.phone import hiss
from support.timing import HandClock

SAID = Utterance(hiss(1, 100), "en")


async def test_a_passing_failure_is_tried_again_once() -> None:
    """An error that may pass is followed by a second request, which answers."""
    engine = ScriptedStt(errors=[ProviderUnavailable("away", retryable=True)])
    transcript = await transcriber_of(engine).transcribe(SAID, 5.0)
    assert transcript.transcript.text == "yes"
    assert len(engine.heard) == 2


async def test_a_second_failure_is_the_last() -> None:
    """Two tries, then the caller hears of it: each may be billed."""
    errors: list[Exception] = [ProviderUnavailable("away", retryable=True) for _ in range(3)]
    engine = ScriptedStt(errors=errors)
    with pytest.raises(ProviderUnavailable):
        await transcriber_of(engine).transcribe(SAID, 5.0)
    assert len(engine.heard) == 2


@pytest.mark.parametrize("error", [ProviderRefused("no credit"), ProviderUnavailable("nonsense")])
async def test_what_will_not_pass_is_not_tried_again(error: Exception) -> None:
    """No credit, or an answer that makes no sense, ends the request at once."""
    engine = ScriptedStt(errors=[error])
    with pytest.raises(type(error)):
        await transcriber_of(engine).transcribe(SAID, 5.0)
    assert len(engine.heard) == 1


async def test_an_engine_is_awaited_no_longer_than_the_caller_waits() -> None:
    """A silent engine ends as too slow when the caller's time is over, and its place is free."""
    engine = ScriptedStt()
    engine.open.clear()
    transcriber = transcriber_of(engine, places=1)
    with pytest.raises(ProviderTooSlow):
        await transcriber.transcribe(SAID, 0.02)
    engine.open.set()
    assert (await transcriber.transcribe(SAID, 5.0)).transcript.text == "yes"


async def test_an_engine_is_awaited_no_longer_than_is_set() -> None:
    """The engine's own time limit holds where the caller has more patience."""
    engine = ScriptedStt()
    engine.open.clear()
    with pytest.raises(ProviderTooSlow):
        await transcriber_of(engine, patience=Patience(0.02)).transcribe(SAID, 60.0)


async def test_no_more_than_the_places_are_asked_at_once() -> None:
    """With two places the engine hears two of five recordings until one is answered."""
    engine = ScriptedStt()
    engine.open.clear()
    transcriber = transcriber_of(engine, places=2)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(transcriber.transcribe(SAID, 60.0))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(engine.heard) == 2
        engine.open.set()
    assert len(engine.heard) == 5


async def test_every_end_is_counted() -> None:
    """An answer and an error both show in the histogram, by engine and outcome."""

    def count(outcome: str) -> float:
        labels = {"engine": "scripted", "outcome": outcome}
        return REGISTRY.get_sample_value("salehi_stt_seconds_count", labels) or 0.0

    answered, refused = count("answered"), count("ProviderRefused")
    engine = ScriptedStt()
    transcriber = transcriber_of(engine)
    await transcriber.transcribe(SAID, 5.0)
    engine.errors = [ProviderRefused("no credit")]
    with pytest.raises(ProviderRefused):
        await transcriber.transcribe(SAID, 5.0)
    assert (count("answered"), count("ProviderRefused")) == (answered + 1, refused + 1)


async def test_lack_of_credit_is_shown_until_the_engine_answers() -> None:
    """The gauge rises with the engine's refusal, and falls with its next answer."""

    def shown() -> float | None:
        return REGISTRY.get_sample_value("salehi_speech_out_of_credit", {"engine": "scripted"})

    clock = HandClock()
    engine = ScriptedStt(errors=[OutOfCredit("no credit")])
    transcriber = transcriber_of(engine, clock=clock)
    assert shown() == 0
    with pytest.raises(OutOfCredit):
        await transcriber.transcribe(SAID, 5.0)
    assert shown() == 1
    clock.advance(60)
    await transcriber.transcribe(SAID, 5.0)
    assert shown() == 0
