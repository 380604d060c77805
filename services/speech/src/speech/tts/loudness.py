"""One loudness for everything that is spoken, measured as EBU R 128 does.

ffmpeg's loudnorm is not used: in one pass, version 5.1 left prompts under 3 s up to 50 LU too soft,
and with two it still compresses where a gain would clip. So it is measured, amplified, limited, and
measured again for what the limiter took away.
"""

from __future__ import annotations

import asyncio
import re

from speech.audio import Recording, samples_of
from speech.errors import ProgramFailed
from speech.ffmpeg import conversion, to_samples
from speech.forms import MASTER_RATE_HZ, sniff
from speech.programs import run_program

TARGET_LUFS = -18.0
"""As loud as a person on the line."""
_CLOSE_LU = 0.3
_MOST_GAIN_DB = 30.0  # what is softer is noise
_ROUNDS = 3
# Peaks stay 2 dB below full scale; this leaves the rest for what lies between two samples.
_HIGHEST = 0.76
_LIMIT = f"alimiter=limit={_HIGHEST}:attack=1:release=20:level=false"
_NO_RUMBLE = "highpass=f=80"
_SAMPLES = ("s16le", "-ar", str(MASTER_RATE_HZ), "-ac", "1")
# R 128 measures blocks of 0.4 s; a shorter word is measured with silence after it.
_MEASURE = r"apad=whole_dur=0.4,ebur128=metadata=1,ametadata=print:file=pipe\\:1"
_INTEGRATED = re.compile(rb"lavfi\.r128\.I=(-?[0-9.]+)")
_SILENCE_LUFS = -70.0  # the gate of R 128


async def master_of(audio: bytes, timeout_s: float) -> Recording:
    """Decode a WAV, MP3, OGG or FLAC file and bring it to the common loudness, mono, 16 kHz.

    Silence stays silence.

    Raises:
        NotAudio: it is none of these.
        ProgramFailed: the file is broken, or it took longer than `timeout_s` seconds.
    """
    form = sniff(audio)
    try:
        async with asyncio.timeout(timeout_s):
            decode = to_samples((form,), _NO_RUMBLE, MASTER_RATE_HZ)
            pcm = await _levelled(await run_program(decode, audio, timeout_s), timeout_s)
    except TimeoutError as error:
        raise ProgramFailed(f"ffmpeg took longer than {timeout_s:.1f} s") from error
    return Recording(pcm, MASTER_RATE_HZ, MASTER_RATE_HZ // 2)


async def _levelled(plain: bytes, timeout_s: float) -> bytes:
    gain_db = 0.0
    levelled = plain
    for _ in range(_ROUNDS):
        loudness = await measure_lufs(levelled, timeout_s)
        if loudness is None:
            return plain
        missing_db = TARGET_LUFS - loudness
        if abs(missing_db) <= _CLOSE_LU and _peak(levelled) <= _HIGHEST:
            break
        gain_db = min(gain_db + missing_db, _MOST_GAIN_DB)
        argv = to_samples(_SAMPLES, f"volume={gain_db:.2f}dB,{_LIMIT}", MASTER_RATE_HZ)
        levelled = await run_program(argv, plain, timeout_s)
    return levelled


def _peak(pcm: bytes) -> float:
    """Give the highest sample, full scale being 1."""
    return max(map(abs, samples_of(pcm))) / 32768


async def measure_lufs(pcm: bytes, timeout_s: float) -> float | None:
    """Give the integrated loudness of samples (s16, mono, 16 kHz); None for silence.

    Raises:
        ProgramFailed: ffmpeg failed or took longer than `timeout_s` seconds.
    """
    argv = conversion(_SAMPLES, _MEASURE, ("-f", "null"))
    found = _INTEGRATED.findall(await run_program(argv, pcm, timeout_s))
    loudness = float(found[-1]) if found else _SILENCE_LUFS
    return None if loudness <= _SILENCE_LUFS else loudness
