"""More callers than a provider can serve: who is served, who is refused, and what it costs."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from grpc import aio
from prometheus_client import REGISTRY
from pydantic import SecretStr

from lab.fakes.faults import Fault, FaultKind
from lab.fakes.serving import serving
from lab.fakes.vira import FakeVira
from salehi.speech.v1 import speech_pb2 as pb
from speech.engines import build_stt
from speech.hearing import Hearing
from speech.settings import SpeechSettings
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedTts, synthesizer_of
from speech_support.phone import reply_wav
from speech_support.service import Stub, plain_http, served

CALLERS = 200
PLACES = 50
LATENCY_S = 0.3
REPLY = reply_wav("yes")


@asynccontextmanager
async def _house(directory: Path) -> AsyncIterator[tuple[FakeVira, Stub]]:
    """Serve the service as it is wired, without enhancing, against a Vira that takes 300 ms."""
    fake = FakeVira()
    fake.configure({"text": "بله"})
    fake.break_next(Fault(FaultKind.SLOW, seconds=LATENCY_S))
    async with serving(fake) as url, plain_http() as http:
        settings = SpeechSettings(
            vira_stt_token=SecretStr("token"),
            vira_stt_url=f"{url}/avanegar/v2/avanegar/request",
            max_parallel_stt=PLACES,
            data_dir=directory,
        )
        hearing = Hearing(SpeechDetector(), build_stt(settings, http).transcriber, None)
        speaking = synthesizer_of(SpokenCache(directory), ScriptedTts())
        async with served(hearing, speaking) as stub:
            yield fake, stub


async def _call(stub: Stub, timeout_s: float) -> tuple[grpc.StatusCode, float]:
    """Give the status of a reply, and the seconds until it came."""
    began_s = time.monotonic()
    request = pb.TranscribeRequest(audio=REPLY, language="fa")
    try:
        await stub.Transcribe(request, timeout=timeout_s)
    except aio.AioRpcError as error:
        return error.code(), time.monotonic() - began_s
    return grpc.StatusCode.OK, time.monotonic() - began_s


def _figure(name: str) -> float:
    return REGISTRY.get_sample_value(f"salehi_speech_{name}", {"pool": "stt"}) or 0.0


async def test_two_hundred_callers_meet_fifty_places(tmp_path: Path) -> None:
    """50 requests at once are at the provider and never more; each caller is served or refused.

    Who was served was asked for once, who was refused never. The provider is held shut until its
    places are full, so that a slow machine reaches them too; it also may refuse more.
    """
    async with _house(tmp_path) as (fake, stub), asyncio.TaskGroup() as tasks:
        fake.open.clear()
        calls = [tasks.create_task(_call(stub, 60.0)) for _ in range(CALLERS)]
        while fake.busy < PLACES:
            await asyncio.sleep(0.01)
        fake.open.set()
        ends = [await call for call in calls]
        codes = [code for code, _ in ends]
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert fake.peak == PLACES
        assert len(fake.received) == codes.count(grpc.StatusCode.OK) >= PLACES


async def test_those_who_cannot_be_served_are_refused_at_once(tmp_path: Path) -> None:
    """With the provider's places taken for longer than they can wait, callers are sent away.

    200 such callers reach no provider, leave nobody waiting and no memory taken; those who hold
    a place are served.
    """
    async with _house(tmp_path) as (fake, stub), asyncio.TaskGroup() as tasks:
        fake.open.clear()
        holders = [tasks.create_task(_call(stub, 60.0)) for _ in range(PLACES)]
        while fake.busy < PLACES:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.5)  # who overruns what is assumed, 1 s, is expected to go on
        tracemalloc.start()
        ends: list[tuple[grpc.StatusCode, float]] = []
        for _ in range(CALLERS // 10):
            ends += await asyncio.gather(*[_call(stub, 2.0) for _ in range(10)])
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert {code for code, _ in ends} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert sorted(took_s for _, took_s in ends)[CALLERS // 2] < 1.0
        assert kept_bytes < CALLERS * len(REPLY) / 4
        assert (fake.peak, len(fake.received), _figure("waiting")) == (PLACES, PLACES, 0)
        fake.open.set()
        assert {(await holder)[0] for holder in holders} == {grpc.StatusCode.OK}
