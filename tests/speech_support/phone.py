"""Replies as they arrive from a telephone: spoken by machine, through the band, u-law and hiss."""

from __future__ import annotations

import array
import random
import subprocess
from functools import cache

from speech.audio import Recording, pcm_of, samples_of, write_wav

RATE_HZ = 8000
_SPEECH_LEVEL = 2500.0
_HISS_LEVEL = 3.0
_BAND = "highpass=f=300,lowpass=f=3400"


def _run(*argv: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=True)
    return done.stdout


@cache
def _narrow(text: str, voice: str, words_per_minute: int) -> array.array[int]:
    spoken = _run("espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", text)
    into = ("-af", _BAND, "-ar", str(RATE_HZ), "-ac", "1", "-f", "mulaw", "pipe:1")
    coded = _run("ffmpeg", "-v", "quiet", "-f", "wav", "-i", "pipe:0", *into, stdin=spoken)
    back = ("-f", "mulaw", "-ar", str(RATE_HZ), "-i", "pipe:0", "-f", "s16le", "pipe:1")
    return samples_of(_run("ffmpeg", "-v", "quiet", *back, stdin=coded))


def reply(
    text: str,
    voice: str = "en-us",
    *,
    words_per_minute: int = 150,
    snr_db: float | None = None,
    wait_s: float = 0.7,
) -> Recording:
    """Give a recorded reply: `wait_s` of silence, the words, half a second of silence."""
    words = _narrow(text, voice, words_per_minute)
    level = (sum(sample * sample for sample in words) / len(words)) ** 0.5
    noise = _HISS_LEVEL if snr_db is None else _SPEECH_LEVEL / 10 ** (snr_db / 20)
    source = random.Random(f"{text} {voice} {snr_db}")
    silence = [0] * int(wait_s * RATE_HZ)
    track = [*silence, *words, *([0] * (RATE_HZ // 2))]
    gain = _SPEECH_LEVEL / level
    loud = [int(sample * gain + source.gauss(0, noise)) for sample in track]
    clipped = array.array("h", [max(-32768, min(32767, sample)) for sample in loud])
    return Recording(pcm_of(clipped), RATE_HZ, RATE_HZ // 2)


def reply_wav(text: str, voice: str = "en-us") -> bytes:
    """Give a recorded reply as the WAV file Asterisk leaves."""
    return write_wav(reply(text, voice).pcm, RATE_HZ)


def hiss(length_s: float, level: float, rate_hz: int = RATE_HZ) -> Recording:
    """Give nothing but noise of that root mean square."""
    source = random.Random(f"{length_s} {level}")
    count = int(length_s * rate_hz)
    samples = array.array("h", [int(source.gauss(0, level)) for _ in range(count)])
    return Recording(pcm_of(samples), rate_hz, rate_hz // 2)
