"""The contract, through a real gRPC server and the generated stub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from grpc import aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salehi.speech.v1 import speech_pb2 as pb
from salehi.speech.v1 import speech_pb2_grpc
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService
from speech.audio import read_wav, write_wav
from speech.capacity import Capacity
from speech.errors import (
    ProviderError,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnavailable,
)
from speech.hearing import Hearing
from speech.service import SERVICE, SpeechServicer
from speech.stt.base import Outcome, Transcript
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, ScriptedTts, synthesizer_of, transcriber_of
from speech_support.phone import hiss, reply_wav

Stub: TypeAlias = "speech_pb2_grpc.SpeechServiceAsyncStub"


class House:
    """A service with scripted engines, and a stub that talks to it."""

    def __init__(self, directory: Path) -> None:
        self.stt = ScriptedStt()
        self.tts = ScriptedTts()
        self._directory = directory

    @asynccontextmanager
    async def serving(self, *, places: int = 2) -> AsyncIterator[Stub]:
        """Serve on a free port."""
        hearing = Hearing(
            SpeechDetector(), transcriber_of(self.stt, places=places), Capacity("enhance", 2)
        )
        synthesizer = synthesizer_of(self.tts, SpokenCache(self._directory / "cache"))
        servicer = SpeechServicer(hearing, synthesizer, "en", 30.0)
        add = speech_pb2_grpc.add_SpeechServiceServicer_to_server
        server = GrpcServer([GrpcService(SERVICE, add, servicer)])
        port = await server.start("127.0.0.1", 0, "SPEECH_PORT")
        try:
            async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
                yield speech_pb2_grpc.SpeechServiceStub(peer.channel)
        finally:
            await server.drain(0)


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
    assert house.stt.heard[0].rate_hz == 16000
    assert house.stt.hotwords == ["adviser"]


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
    code, details = await _status(stub.Transcribe(request, timeout=10))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "VIRA_STT_TOKEN" in details


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderRefused("no credit"), grpc.StatusCode.FAILED_PRECONDITION),
        (ProviderUnavailable("away"), grpc.StatusCode.UNAVAILABLE),
        (ProviderTooSlow("slow"), grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
async def test_each_failure_has_its_status(
    house: House, stub: Stub, error: ProviderError, code: grpc.StatusCode
) -> None:
    """Clients can tell an outage from an empty account from slowness."""
    house.stt.errors = [error]
    found = await _status(stub.Transcribe(pb.TranscribeRequest(audio=reply_wav("yes")), timeout=10))
    assert found == (code, str(error))


async def test_a_full_house_refuses_at_once(house: House) -> None:
    """With the place taken for longer than the deadline, a request is refused and not kept."""
    async with house.serving(places=1) as stub:
        request = pb.TranscribeRequest(audio=reply_wav("yes"))
        house.stt.open.clear()
        slow = asyncio.ensure_future(stub.Transcribe(request, timeout=10))
        await asyncio.sleep(1.0)
        house.stt.open.set()
        await slow
        house.stt.open.clear()
        holder = asyncio.ensure_future(stub.Transcribe(request, timeout=10))
        await asyncio.sleep(0.5)
        async with asyncio.timeout(0.5):
            code, details = await _status(stub.Transcribe(request, timeout=1.0))
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


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=300), head=st.sampled_from([b"", write_wav(b"", 8000)[:40]]))
async def test_arbitrary_audio_is_refused_or_answered(stub: Stub, data: bytes, head: bytes) -> None:
    """Whatever bytes are sent, the answer is INVALID_ARGUMENT or an outcome, never INTERNAL."""
    try:
        answer = await stub.Transcribe(pb.TranscribeRequest(audio=head + data), timeout=10)
    except aio.AioRpcError as error:
        code, outcome = error.code(), None
    else:
        code, outcome = grpc.StatusCode.OK, answer.outcome
    assert (code is grpc.StatusCode.INVALID_ARGUMENT) != bool(outcome)
