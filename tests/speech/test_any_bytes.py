"""Whatever is sent as a recording, nothing but the caller's mistake comes of it."""

from __future__ import annotations

import asyncio
import struct
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import StatusCode, aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salehi.speech.v1 import speech_pb2 as pb
from speech.audio import read_wav, write_wav
from speech.capacity import Capacity
from speech.enhance import is_noisy
from speech.hearing import Hearing
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, ScriptedTts, synthesizer_of, transcriber_of
from speech_support.phone import RATE_HZ, reply
from speech_support.service import Stub, served

REPLY = write_wav(reply("yes", snr_db=10).pcm, RATE_HZ)
HEADER_BYTES = 44


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children() -> list[str]:
    threads = Path("/proc/self/task").iterdir()
    return [pid for thread in threads for pid in (thread / "children").read_text().split()]


@pytest.fixture
async def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stub]:
    """A stub of a real server with ffmpeg; afterwards nothing may be left of any request."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    places = Capacity("enhance", 2)
    hearing = Hearing(SpeechDetector(), transcriber_of(ScriptedStt()), places, denoises=True)
    speaking = synthesizer_of(SpokenCache(place), ScriptedTts())
    async with served(hearing, speaking) as stub:
        assert is_noisy(read_wav(REPLY))  # so that ffmpeg runs
        assert await _code(stub, REPLY) is StatusCode.OK
        assert await _code(stub, b"") is StatusCode.INVALID_ARGUMENT
        descriptors, children = _descriptors(), _children()
        yield stub
        async with asyncio.timeout(10):
            while _descriptors() > descriptors or _children() != children:
                await asyncio.sleep(0.05)
        assert list(place.iterdir()) == []


async def _code(stub: Stub, audio: bytes) -> StatusCode:
    try:
        await stub.Transcribe(pb.TranscribeRequest(audio=audio, language="en"), timeout=30)
    except aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real reply with bytes of its header or samples changed, cut off, doubled or added to."""
    audio = bytearray(REPLY)
    for at in draw(st.lists(st.integers(0, HEADER_BYTES - 1), max_size=4)):
        audio[at] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        at = draw(st.sampled_from([4, 16, 24, 28, 40]))
        struct.pack_into("<I", audio, at, draw(st.sampled_from([0, 1, 2**31, 2**32 - 1])))
    for at in draw(st.lists(st.integers(0, len(REPLY) - 1), max_size=3)):
        audio[at:at] = draw(st.binary(max_size=40))
    return bytes(audio[: draw(st.integers(0, len(audio)) | st.just(len(audio)))])


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    audio=st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda tail: write_wav(b"", 8000)[:40] + tail)
    | damaged()
)
async def test_any_bytes_are_refused_or_answered(stub: Stub, audio: bytes) -> None:
    """No bytes get anything but an outcome or INVALID_ARGUMENT, nor leave anything behind.

    Left behind would be a process, a file in the working or temporary directory, or a descriptor.
    """
    assert await _code(stub, audio) in {StatusCode.OK, StatusCode.INVALID_ARGUMENT}


async def test_callers_who_leave_take_everything_with_them(stub: Stub) -> None:
    """Requests cancelled at any moment, ffmpeg running or not, leave nothing behind either."""
    for wait_s in (0.0, 0.01, 0.03, 0.06, 0.1):
        request = pb.TranscribeRequest(audio=REPLY, language="en")
        call = asyncio.ensure_future(stub.Transcribe(request, timeout=30))
        await asyncio.sleep(wait_s)
        call.cancel()
        await asyncio.wait({call})
