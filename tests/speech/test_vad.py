"""Telling speech from everything else."""

from __future__ import annotations

import array
import asyncio
import math
import random

import pytest

from speech.audio import Recording, amplify, pcm_of
from speech.vad import SpeechDetector, sound_of
from speech_support.phone import RATE_HZ, hiss, reply


def _tone(*pitches_hz: float, on_s: float = 4.0, rate_hz: int = 8000) -> Recording:
    """Give four seconds of tones that sound together, as long on as off."""
    wave = array.array(
        "h",
        [
            int(sum(4000 * math.sin(2 * math.pi * pitch * at / rate_hz) for pitch in pitches_hz))
            if at / rate_hz % (2 * on_s) < on_s
            else 0
            for at in range(4 * rate_hz)
        ],
    )
    return Recording(pcm_of(wave), rate_hz, rate_hz // 2)


def _clicks() -> Recording:
    """Give a dozen short bursts that die away."""
    source = random.Random(1)
    track = array.array("h", bytes(2 * 32_000))
    for _ in range(12):
        begins = source.randrange(len(track) - 100)
        for at in range(100):
            burst = 8000 * source.gauss(0, 1) * math.exp(-at / 12)
            track[begins + at] = max(-32768, min(32767, int(burst)))
    return Recording(pcm_of(track), 8000, 4000)


def _quieter(recording: Recording, by_db: float) -> Recording:
    return amplify(recording, 10 ** (-by_db / 20))


@pytest.mark.parametrize("voice", ["en-us", "en-us+f4", "en-gb"])
@pytest.mark.parametrize("text", ["yes", "no"])
async def test_one_word_is_speech(text: str, voice: str) -> None:
    """The shortest replies are heard in men's and women's voices, also in noise."""
    detector = SpeechDetector()
    assert await detector.hears_speech(reply(text, voice))
    assert await detector.hears_speech(reply(text, voice, snr_db=15))


@pytest.mark.parametrize("voice", ["fa", "fa+f4", "fa+m3"])
@pytest.mark.parametrize("text", ["بله", "نه", "آره"])
async def test_one_persian_word_is_speech(text: str, voice: str) -> None:
    """A Persian yes or no is heard plainly, very quietly, and nearly as loud as its noise."""
    detector = SpeechDetector()
    said = reply(text, voice)
    assert await detector.hears_speech(said)
    assert await detector.hears_speech(_quieter(said, 22.0))
    assert await detector.hears_speech(reply(text, voice, snr_db=5))


@pytest.mark.parametrize("voice", ["fa", "fa+f4", "fa+m3"])
async def test_a_word_cut_short_is_speech(voice: str) -> None:
    """A reply of which only the first eighth of a second was recorded is heard."""
    whole = reply("بله", voice, wait_s=0.2)
    begun = whole.pcm[: 2 * int(0.325 * whole.rate_hz)]
    assert await SpeechDetector().hears_speech(Recording(begun, whole.rate_hz, whole.band_hz))


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(Recording(b"", 8000, 4000), id="empty"),
        pytest.param(Recording(bytes(160_000), 8000, 4000), id="digital silence"),
        pytest.param(hiss(10, 20), id="line hiss"),
        pytest.param(hiss(5, 2000), id="loud noise"),
        pytest.param(hiss(5, 500, rate_hz=16000), id="wideband noise"),
        pytest.param(_tone(425), id="ringing tone"),
        pytest.param(_tone(425, on_s=0.5), id="busy tone"),
        pytest.param(_tone(770, 1336, on_s=0.1), id="DTMF"),
        pytest.param(_tone(440, 480), id="American ringing tone"),
        pytest.param(_clicks(), id="a handset put about"),
        pytest.param(_tone(1000, rate_hz=16000), id="test tone"),
    ],
)
async def test_what_is_no_speech_is_not_taken_for_it(recording: Recording) -> None:
    """Silence, hiss, noise and tones are not speech."""
    assert not await SpeechDetector().hears_speech(recording)


def _at(level: int, length_s: float, rate_hz: int = 8000) -> bytes:
    """Give samples that are as far from zero as that, one up, one down."""
    return pcm_of([level, -level] * int(length_s * rate_hz / 2))


def test_a_lines_hiss_is_not_listened_to() -> None:
    """What is quieter than a line's hiss is nothing at all, a whisper is something."""
    assert len(sound_of(hiss(2, 20))) == 0
    assert len(sound_of(hiss(2, 120))) == 2 * 8000


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_the_silence_before_a_reply_is_not_listened_to(rate_hz: int) -> None:
    """Of two seconds of thinking 64 ms are left, of the reply and what follows it everything."""
    said = _at(30, 2.0, rate_hz) + _at(2000, 0.5, rate_hz) + _at(30, 1.0, rate_hz)
    sound = sound_of(Recording(said, rate_hz, rate_hz // 2))
    assert len(sound) == int((0.064 + 0.5 + 1.0) * rate_hz)
    at_once = sound_of(Recording(said[2 * 2 * rate_hz :], rate_hz, rate_hz // 2))
    assert len(at_once) == int((0.5 + 1.0) * rate_hz)


@pytest.mark.parametrize(
    ("level", "heard_at"), [(100, 200), (750, 1000), (1000, 1000), (9000, 9000)]
)
def test_a_low_voice_is_raised(level: int, heard_at: int) -> None:
    """What is below a fair level is brought towards it, by 6 dB at most; the rest stays."""
    sound = sound_of(Recording(_at(level, 0.5), 8000, 4000))
    assert sound.max() * 32768 == pytest.approx(heard_at)


@pytest.mark.parametrize("wait_s", [0.0, 0.3, 2.0])
@pytest.mark.parametrize(("text", "voice"), [("no", "en-us"), ("yes", "en-us+f4"), ("نه", "fa")])
async def test_thinking_first_changes_nothing(text: str, voice: str, wait_s: float) -> None:
    """A word is heard at once and after a long silence, plainly and whispered, to its very end."""
    detector = SpeechDetector()
    said = reply(text, voice, wait_s=wait_s)
    to_its_end = Recording(said.pcm[:-RATE_HZ], said.rate_hz, said.band_hz)
    for spoken in (said, _quieter(said, 24.0), to_its_end):
        assert await detector.hears_speech(spoken)


async def test_a_detection_given_up_disturbs_no_other() -> None:
    """Who stops waiting leaves the model to itself: the next recording has its own answer."""
    detector = SpeechDetector()
    noise, said = hiss(20, 500), reply("yes please")
    for _ in range(5):
        given_up = asyncio.create_task(detector.hears_speech(noise))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await detector.hears_speech(said)
    assert not await detector.hears_speech(noise)


async def test_recordings_do_not_hear_each_other() -> None:
    """Silence after speech is silence: nothing is carried over between recordings."""
    detector = SpeechDetector()
    assert await detector.hears_speech(reply("yes please"))
    assert not await detector.hears_speech(hiss(3, 200))
