"""Telling speech from everything else."""

from __future__ import annotations

import array
import math

import pytest

from speech.audio import Recording, pcm_of
from speech.vad import SpeechDetector, is_quiet
from speech_support.phone import hiss, reply


def _tone(frequency_hz: float, rate_hz: int = 8000) -> Recording:
    step = 2 * math.pi * frequency_hz / rate_hz
    wave = array.array("h", [int(8000 * math.sin(step * at)) for at in range(4 * rate_hz)])
    return Recording(pcm_of(wave), rate_hz, rate_hz // 2)


@pytest.mark.parametrize("voice", ["en-us", "en-us+f4", "en-gb"])
@pytest.mark.parametrize("text", ["yes", "no", "nope", "what"])
async def test_one_word_is_speech(text: str, voice: str) -> None:
    """The shortest replies are heard in men's and women's voices, also in noise."""
    detector = SpeechDetector()
    assert await detector.hears_speech(reply(text, voice))
    assert await detector.hears_speech(reply(text, voice, snr_db=15))


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(Recording(b"", 8000, 4000), id="empty"),
        pytest.param(Recording(bytes(160_000), 8000, 4000), id="digital silence"),
        pytest.param(hiss(10, 20), id="line hiss"),
        pytest.param(hiss(5, 2000), id="loud noise"),
        pytest.param(hiss(5, 500, rate_hz=16000), id="wideband noise"),
        pytest.param(_tone(425), id="ringing tone"),
        pytest.param(_tone(1000, 16000), id="test tone"),
    ],
)
async def test_what_is_no_speech_is_not_taken_for_it(recording: Recording) -> None:
    """Silence, hiss, noise and tones are not speech."""
    assert not await SpeechDetector().hears_speech(recording)


def test_a_whisper_is_not_quiet() -> None:
    """The energy check lets everything pass that is louder than a line's hiss."""
    assert is_quiet(hiss(2, 20))
    assert not is_quiet(hiss(2, 120))


async def test_recordings_do_not_hear_each_other() -> None:
    """Silence after speech is silence: nothing is carried over between recordings."""
    detector = SpeechDetector()
    assert await detector.hears_speech(reply("yes please"))
    assert not await detector.hears_speech(hiss(3, 200))
