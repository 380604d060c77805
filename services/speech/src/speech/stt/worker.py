"""A process of the embedded engine: recordings come on stdin, what was heard leaves on stdout.

Says `ready` first. One recording at a time; ends when stdin does, so it never outlives its parent.

A recording: length of the samples in bytes, rate in Hz, highest frequency in Hz (three unsigned
32-bit numbers, big endian), then the samples. An answer: length (the same), then JSON.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import BinaryIO

from speech.audio import Recording
from speech.stt.recogniser import Heard, Recogniser

REQUEST = struct.Struct(">III")
ANSWER = struct.Struct(">I")
READY = b"ready\n"


def main(language: str) -> None:
    """Serve until stdin ends."""
    source, target = sys.stdin.buffer, _own_stdout()
    recogniser = Recogniser(language)
    target.write(READY)
    target.flush()
    while (recording := _read(source)) is not None:
        answer = _encoded(recogniser.hear(recording))
        target.write(ANSWER.pack(len(answer)) + answer)
        target.flush()


def _own_stdout() -> BinaryIO:
    """Keep stdout for answers: whatever a library prints goes to stderr."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return target


def _read(source: BinaryIO) -> Recording | None:
    head = source.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return None
    length, rate_hz, band_hz = REQUEST.unpack(head)
    pcm = source.read(length)
    return Recording(pcm, rate_hz, band_hz) if len(pcm) == length else None


def _encoded(heard: Heard) -> bytes:
    text = heard.text if heard.accepted else ""
    return json.dumps({"text": text}).encode()


if __name__ == "__main__":
    main(sys.argv[1])
