"""The forms audio comes in and leaves in: what a file holds, and what Asterisk plays.

Everything that leaves is made from one master, so all forms of a text sound the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from speech.audio import Recording, write_wav
from speech.errors import SpeechError
from speech.ffmpeg import conversion
from speech.programs import run_program

MASTER_RATE_HZ = 16000
"""The highest rate Asterisk is given; what is heard on a line has no more."""
_WAV_HEADER_BYTES = 44
_MP3_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_SAMPLES = "s16le"
_SOURCE = (_SAMPLES, "-ar", str(MASTER_RATE_HZ), "-ac", "1")


class NotAudio(SpeechError):  # noqa: N818 - named for what happened
    """It is no file of a form that is taken."""


class Form(StrEnum):
    """A form Asterisk plays; the value is the file's suffix."""

    WAV = "wav"
    WAV16 = "wav16"
    SLN16 = "sln16"
    ALAW = "alaw"
    ULAW = "ulaw"
    G722 = "g722"


@dataclass(frozen=True)
class _Layout:
    """What a form's files hold.

    Attributes:
        coding: ffmpeg's name for the samples' coding.
        rate_hz: samples per second.
        bytes_per_s: size of one second, the header left out.
        header_bytes: size of the header.
    """

    coding: str
    rate_hz: int
    bytes_per_s: int
    header_bytes: int = 0


_LAYOUTS = {
    Form.WAV: _Layout(_SAMPLES, 8000, 16000, _WAV_HEADER_BYTES),
    Form.WAV16: _Layout(_SAMPLES, 16000, 32000, _WAV_HEADER_BYTES),
    Form.SLN16: _Layout(_SAMPLES, 16000, 32000),
    Form.ALAW: _Layout("alaw", 8000, 8000),
    Form.ULAW: _Layout("mulaw", 8000, 8000),
    Form.G722: _Layout("g722", 16000, 8000),
}


async def encode(master: Recording, form: Form, timeout_s: float) -> bytes:
    """Give a master (16 kHz) in another form.

    Raises:
        ProgramFailed: ffmpeg failed or took longer than `timeout_s` seconds.
    """
    layout = _LAYOUTS[form]
    content = master.pcm
    if (layout.coding, layout.rate_hz) != (_SAMPLES, MASTER_RATE_HZ):
        argv = conversion(_SOURCE, f"aresample={layout.rate_hz}", ("-f", layout.coding))
        content = await run_program(argv, master.pcm, timeout_s)
    return write_wav(content, layout.rate_hz) if layout.header_bytes else content


def length_s(content: bytes, form: Form) -> float:
    """Give the length of audio that `encode` made, in seconds."""
    layout = _LAYOUTS[form]
    return (len(content) - layout.header_bytes) / layout.bytes_per_s


def sniff(audio: bytes) -> str:
    """Give the form (ffmpeg's name) of a file somebody gave, from its first bytes.

    ffmpeg is told the form instead of guessing, so that a crafted file cannot choose among its
    hundreds of readers. M4A is left out: most keep their index at the end, which a pipe cannot.

    Raises:
        NotAudio: it is none of those taken.
    """
    if audio[:4] == b"RIFF" and audio[8:12] == b"WAVE":
        return "wav"
    if audio[:4] == b"OggS":
        return "ogg"
    if audio[:4] == b"fLaC":
        return "flac"
    if audio[:3] == b"ID3" or _MP3_FRAME.match(audio):
        return "mp3"
    raise NotAudio("it is no WAV, MP3, OGG or FLAC file")
