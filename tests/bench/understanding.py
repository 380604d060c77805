"""What a reply costs: enhancing, the embedded engine, the call to the service, the rules."""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bench.measuring import Figure, Latency, Stopwatch, measure
from intent.rules import classify
from salehi.speech.v1 import speech_pb2, speech_pb2_grpc
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService
from speech.audio import Recording, write_wav
from speech.capacity import Capacity
from speech.enhance import DENOISE, apply_filters, enhance
from speech.hearing import Hearing
from speech.service import SERVICE, SpeechServicer
from speech.stt.base import Utterance
from speech.stt.embedded import EmbeddedStt
from speech.stt.workers import WorkerPool
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, ScriptedTts, synthesizer_of, transcriber_of
from speech_support.phone import reply
from support.timing import running

_TEXTS = ("yes please", "no thank you", "where did you get my number", "stop calling me")
_VOICES = ("en-us", "en-us+f4", "en-gb", "en-us+m3", "en-us+f1")
_CLASSIFIED_EACH = 2000
_SHORT_REPLIES = ("بله", "نه ممنون", "شماره منو از کجا آوردید", "دیگه زنگ نزنید", *_TEXTS)
_WARM_CALLS = 20
_CALLS = 200


class UnderstandingBench:
    """Replies of two seconds through each part of the way."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._replies = [reply(text, voice) for text in _TEXTS for voice in _VOICES]

    async def figures(self) -> AsyncIterator[Figure | Latency]:
        """Measure everything."""
        yield await self._classifications()
        yield await self._detection()
        yield await self._enhancement("enhancing a clean reply", _enhance)
        yield await self._enhancement("the same through ffmpeg", _filter)
        yield await self._embedded()
        yield await self._overhead()

    async def _classifications(self) -> Figure:
        async def work() -> tuple[int, float]:
            texts = random.Random(1).choices(_SHORT_REPLIES, k=_CLASSIFIED_EACH)
            watch = Stopwatch()
            for text in texts:
                classify(text, "en" if text.isascii() else "fa")
            return _CLASSIFIED_EACH, watch.seconds()

        return await measure("replies classified by rule", "one core", self._runs, work)

    async def _detection(self) -> Latency:
        detector = SpeechDetector()
        return await self._each("hearing whether anybody spoke", detector.hears_speech)

    async def _enhancement(
        self, what: str, work: Callable[[Recording], Awaitable[object]]
    ) -> Latency:
        return await self._each(what, work)

    async def _embedded(self) -> Latency:
        pool = WorkerPool("en", 1)
        engine = EmbeddedStt(pool)

        async def recognise(recording: Recording) -> None:
            await engine.recognise(Utterance(recording, "en"))

        async with running(pool.run()):
            await pool.wait_ready()
            return await self._each("embedded speech to text", recognise)

    async def _each(self, what: str, work: Callable[[Recording], Awaitable[object]]) -> Latency:
        """Do the work once for every reply; also give its time as a share of the audio's."""
        took_s = []
        for recording in self._replies:
            watch = Stopwatch()
            await work(recording)
            took_s.append(watch.seconds())
        audio_s = sum(recording.length_s for recording in self._replies)
        return Latency(what, tuple(took_s), sum(took_s) / audio_s)

    async def _overhead(self) -> Latency:
        """Call for a recording in which nobody speaks: the way there and back, and the check."""
        took_s = []
        silence = write_wav(bytes(2 * 8000 * 2), 8000)
        request = speech_pb2.TranscribeRequest(audio=silence, language="en")
        async with _served() as stub:
            for number in range(_WARM_CALLS + _CALLS):
                watch = Stopwatch()
                await stub.Transcribe(request, timeout=10)
                if number >= _WARM_CALLS:
                    took_s.append(watch.seconds())
        return Latency("gRPC overhead of Transcribe, 2 s of silence", tuple(took_s))


async def _enhance(recording: Recording) -> None:
    await enhance(recording, 10.0)


async def _filter(recording: Recording) -> None:
    await apply_filters(recording, DENOISE, 10.0)


@asynccontextmanager
async def _served() -> AsyncIterator[speech_pb2_grpc.SpeechServiceAsyncStub]:
    """Serve the contract on a free port of this machine; give a stub."""
    hearing = Hearing(SpeechDetector(), transcriber_of(ScriptedStt()), Capacity("enhance", 2))
    with tempfile.TemporaryDirectory() as directory:
        synthesizer = synthesizer_of(SpokenCache(Path(directory)), ScriptedTts())
        servicer = SpeechServicer(hearing, synthesizer, "en", 30.0)
        add = speech_pb2_grpc.add_SpeechServiceServicer_to_server
        server = GrpcServer([GrpcService(SERVICE, add, servicer)])
        port = await server.start("127.0.0.1", 0, "SPEECH_PORT")
        try:
            async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
                yield speech_pb2_grpc.SpeechServiceStub(peer.channel)
        finally:
            await server.drain(0)
