"""Sound for fakes: a tone, as WAV or, where ffmpeg is there, as mp3."""

from __future__ import annotations

import asyncio
import io
import math
import shutil
import struct
import wave

_RATE_HZ = 16_000
_TONE_HZ = 440.0
_LOUDNESS = 8_000
_FFMPEG = ("ffmpeg", "-nostdin", "-loglevel", "error", "-f", "wav", "-i", "pipe:0")


def tone_wav(seconds: float) -> bytes:
    """Returns a mono 16 kHz WAV of a 440 Hz tone."""
    step = 2 * math.pi * _TONE_HZ / _RATE_HZ
    samples = [round(_LOUDNESS * math.sin(step * i)) for i in range(round(seconds * _RATE_HZ))]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE_HZ)
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


async def tone(seconds: float) -> tuple[bytes, str]:
    """Returns the sound and its kind: `mp3`, or `wav` where ffmpeg is missing or fails."""
    wav = tone_wav(seconds)
    if shutil.which(_FFMPEG[0]) is None:
        return wav, "wav"
    process = await asyncio.create_subprocess_exec(
        *_FFMPEG,
        *("-f", "mp3", "pipe:1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    mp3, _ = await process.communicate(wav)
    return (mp3, "mp3") if process.returncode == 0 else (wav, "wav")
