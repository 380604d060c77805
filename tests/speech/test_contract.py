"""The contract, through a real gRPC server and the generated stub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from salehi.speech.v1 import speech_pb2 as pb
from speech.audio import read_wav, write_wav
from speech.capacity import Capacity
from speech.errors import (
    BadToken,
    InputRejected,
    OutOfCredit,
    ProviderError,
    ProviderTooSlow,
    ProviderUnavailable,
)
from speech.hearing import Hearing
from speech.stt.base import Outcome, Transcript
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, ScriptedTts, synthesizer_of, transcriber_of
from speech_support.phone import hiss, reply_wav
from speech_support.service import Stub, refusal_of, served


class House:
    """A service with scripted engines, and a stub that talks to it."""

    def __init__(self, directory: Path) -> None:
        self.stt = ScriptedStt()
        self.stand_in = ScriptedStt(name="stand-in", languages=frozenset())
        self.tts = ScriptedTts()
        self._directory = directory

    @asynccontextmanager
    async def serving(self, *, places: int = 2, typical_s: float = 1.0) -> AsyncIterator[Stub]:
        """Serve on a free port; engines are assumed to take `typical_s` seconds."""
        hearing = Hearing(
            SpeechDetector(),
            transcriber_of(self.stt, self.stand_in, places=places, assumed_s=typical_s),
            Capacity("enhance", 2, assumed_s=0.2),
        )
        synthesizer = synthesizer_of(SpokenCache(self._directory / "cache"), self.tts)
        async with served(hearing, synthesizer) as stub:
            yield stub


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A service that is not serving yet."""
    return House(tmp_path)


@pytest.fixture
async def stub(house: House) -> AsyncIterator[Stub]:
    """A stub of a serving house."""
    async with house.serving() as stub:
        yield stub


async def _status(call: aio.UnaryUnaryCall[Any, Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_speech_becomes_text(house: House, stub: Stub) -> None:
    """A reply is enhanced to 16 kHz and transcribed; the times say what was done."""
    request = pb.TranscribeRequest(audio=reply_wav("yes please"), hotwords=["adviser"])
    answer = await stub.Transcribe(request, timeout=10)
    assert (answer.text, answer.outcome) == ("yes", pb.TRANSCRIBE_OUTCOME_RECOGNISED)
    assert answer.engine == "scripted"
    assert answer.audio_s == pytest.approx(read_wav(request.audio).length_s)
    assert answer.enhance_s > 0
    assert answer.stt_s > 0
    (heard,) = house.stt.heard
    assert heard.recording.rate_hz == 16000
    assert (heard.language, heard.hotwords) == ("en", ("adviser",))


async def test_silence_costs_nothing(house: House, stub: Stub) -> None:
    """When nobody speaks neither ffmpeg nor the engine is asked."""
    for length_s, level in ((0.0, 1.0), (3.0, 10.0), (3.0, 800.0)):
        recording = hiss(length_s, level)
        request = pb.TranscribeRequest(audio=write_wav(recording.pcm, recording.rate_hz))
        answer = await stub.Transcribe(request, timeout=10)
        assert answer.outcome == pb.TRANSCRIBE_OUTCOME_NOTHING_SAID
        assert (answer.text, answer.engine, answer.enhance_s, answer.stt_s) == ("", "", 0, 0)
    assert house.stt.heard == []


async def test_speech_without_words_is_not_understood(house: House, stub: Stub) -> None:
    """An engine that heard no words gives an outcome and no error."""
    house.stt.answer = Transcript(Outcome.NOT_UNDERSTOOD)
    answer = await stub.Transcribe(pb.TranscribeRequest(audio=reply_wav("hm")), timeout=10)
    assert (answer.outcome, answer.text) == (pb.TRANSCRIBE_OUTCOME_NOT_UNDERSTOOD, "")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (pb.TranscribeRequest(audio=b"no wav"), "not a WAV file"),
        (pb.TranscribeRequest(), "not a WAV file"),
        (pb.TranscribeRequest(audio=write_wav(bytes(2 * 8000 * 61), 8000)), "61.0 s long"),
        (pb.TranscribeRequest(audio=write_wav(b"", 8000), language="xx"), "language is unknown"),
    ],
)
async def test_a_bad_request_is_the_callers(
    stub: Stub, request_: pb.TranscribeRequest, said: str
) -> None:
    """What no engine can take is INVALID_ARGUMENT, with the reason."""
    code, details = await _status(stub.Transcribe(request_, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert said in details


async def test_a_language_nobody_understands_says_what_to_set(stub: Stub) -> None:
    """Persian without a token is FAILED_PRECONDITION and names the setting."""
    request = pb.TranscribeRequest(audio=reply_wav("yes"), language="fa")
    code, details, reason = await refusal_of(stub.Transcribe(request, timeout=10))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "not_configured")
    assert "VIRA_STT_TOKEN" in details


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (OutOfCredit("no credit"), grpc.StatusCode.FAILED_PRECONDITION, "out_of_credit"),
        (BadToken("wrong token"), grpc.StatusCode.FAILED_PRECONDITION, "bad_token"),
        (ProviderUnavailable("away"), grpc.StatusCode.UNAVAILABLE, ""),
        (InputRejected("no"), grpc.StatusCode.UNAVAILABLE, ""),
        (ProviderTooSlow("slow"), grpc.StatusCode.DEADLINE_EXCEEDED, ""),
    ],
)
async def test_each_failure_has_its_status(
    house: House, stub: Stub, error: ProviderError, code: grpc.StatusCode, reason: str
) -> None:
    """Clients can tell an outage from an empty account, a wrong token and slowness."""
    house.stt.errors = [error]
    request = pb.TranscribeRequest(audio=reply_wav("yes"))
    found = await refusal_of(stub.Transcribe(request, timeout=10))
    assert found == (code, str(error), reason)


async def test_a_stand_in_answers_and_lack_of_credit_is_told(house: House, stub: Stub) -> None:
    """Where the first engine has no credit the next one answers, and the answer says both."""
    house.stand_in.languages = frozenset({"en"})
    house.stt.errors = [OutOfCredit("no credit")]
    request = pb.TranscribeRequest(audio=reply_wav("yes"))
    for _ in range(2):
        answer = await stub.Transcribe(request, timeout=10)
        assert (answer.text, answer.engine, answer.out_of_credit) == ("yes", "stand-in", True)
    assert len(house.stt.heard) == 1


async def test_a_stand_in_for_an_outage_is_no_lack_of_credit(house: House, stub: Stub) -> None:
    """Where the first engine is away the next one answers, and nothing is said of credit."""
    house.stand_in.languages = frozenset({"en"})
    house.stt.errors = [ProviderUnavailable("away")]
    answer = await stub.Transcribe(pb.TranscribeRequest(audio=reply_wav("yes")), timeout=10)
    assert (answer.engine, answer.out_of_credit) == ("stand-in", False)


async def test_enhancing_is_skipped_where_time_is_short(house: House) -> None:
    """A reply whose caller leaves no more time than an engine needs goes on as it is."""
    async with house.serving(typical_s=9.9) as stub:
        answer = await stub.Transcribe(pb.TranscribeRequest(audio=reply_wav("yes")), timeout=10)
    assert (answer.text, answer.enhance_s) == ("yes", 0)
    assert house.stt.heard[0].recording.rate_hz == 8000


async def test_a_full_house_refuses_at_once(house: House) -> None:
    """With the place taken for longer than the deadline, a request is refused and not kept."""
    async with house.serving(places=1, typical_s=30.0) as stub:
        request = pb.TranscribeRequest(audio=reply_wav("yes"))
        house.stt.open.clear()
        holder = asyncio.ensure_future(stub.Transcribe(request, timeout=60))
        while not house.stt.heard:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            code, details, _ = await refusal_of(stub.Transcribe(request, timeout=25))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "no room" in details
        house.stt.open.set()
        assert (await holder).text == "yes"


async def test_text_becomes_speech(stub: Stub) -> None:
    """A text comes back as a WAV file of the rate asked for."""
    for form, rate_hz in (
        (pb.AUDIO_FORMAT_UNSPECIFIED, 8000),
        (pb.AUDIO_FORMAT_WAV_8K, 8000),
        (pb.AUDIO_FORMAT_WAV_16K, 16000),
    ):
        request = pb.SynthesizeRequest(text="hello", format=form)
        answer = await stub.Synthesize(request, timeout=10)
        spoken = read_wav(answer.audio)
        assert spoken.rate_hz == rate_hz
        assert answer.audio_s == pytest.approx(spoken.length_s) == pytest.approx(0.5, abs=0.05)
        assert answer.engine == "scripted"


async def test_the_same_text_is_spoken_once(house: House, stub: Stub) -> None:
    """A repeat gives the same bytes from the cache; another voice or format does not share it."""
    request = pb.SynthesizeRequest(text="hello")
    first = await stub.Synthesize(request, timeout=10)
    assert (await stub.Synthesize(request, timeout=10)).audio == first.audio
    assert len(house.tts.spoken) == 1
    await stub.Synthesize(pb.SynthesizeRequest(text="hello", voice="other"), timeout=10)
    await stub.Synthesize(pb.SynthesizeRequest(text="hello", language="fa"), timeout=10)
    assert len(house.tts.spoken) == 3


@pytest.mark.parametrize(
    "request_",
    [
        pb.SynthesizeRequest(text=""),
        pb.SynthesizeRequest(text=" \n"),
        pb.SynthesizeRequest(text="x" * 1001),
        pb.SynthesizeRequest(text="x", language="de"),
    ],
)
async def test_a_text_nobody_can_speak_is_the_callers(
    stub: Stub, request_: pb.SynthesizeRequest
) -> None:
    """An empty or endless text and an unknown language are INVALID_ARGUMENT."""
    code, _ = await _status(stub.Synthesize(request_, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_format_is_the_callers(stub: Stub) -> None:
    """A format of a later contract is INVALID_ARGUMENT."""
    request = pb.SynthesizeRequest.FromString(b"\x0a\x01x\x20\x63")
    code, _ = await _status(stub.Synthesize(request, timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
