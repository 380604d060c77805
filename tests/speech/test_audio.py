"""Reading recordings."""

from __future__ import annotations

import array
import cmath
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.audio import (
    Recording,
    amplify,
    double_rate,
    pcm_of,
    read_wav,
    samples_of,
    window_levels,
    write_wav,
)
from speech.errors import BadRequest


def _wav(*, coding: int = 1, channels: int = 1, rate_hz: int = 8000, bits: int = 16) -> bytes:
    layout = struct.pack("<HHIIHH", coding, channels, rate_hz, rate_hz * 2, 2, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + layout + b"data" + struct.pack("<I", 4) + bytes(4)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@given(st.binary(max_size=400), st.sampled_from([8000, 16000]))
def test_what_is_written_is_read_back(noise: bytes, rate_hz: int) -> None:
    """Samples survive being wrapped in a WAV file and taken out again."""
    pcm = noise[: len(noise) // 2 * 2]
    assert read_wav(write_wav(pcm, rate_hz)) == Recording(pcm, rate_hz, rate_hz // 2)


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_refused_in_one_way(data: bytes) -> None:
    """Whatever bytes arrive, reading ends with BadRequest or a recording, nothing else."""
    for candidate in (data, b"RIFF" + data, b"RIFF\0\0\0\0WAVE" + data, _wav()[:36] + data):
        try:
            recording = read_wav(candidate)
        except BadRequest:
            continue
        assert recording.rate_hz in {8000, 16000}
        assert len(recording.pcm) % 2 == 0


@given(st.integers(0, 47), st.integers(0, 255))
def test_one_wrong_byte_in_a_header_is_no_surprise(at: int, value: int) -> None:
    """A WAV file with any one byte changed is read or refused, and never a crash."""
    data = bytearray(_wav())
    data[at] = value
    try:
        recording = read_wav(bytes(data))
    except BadRequest:
        return
    assert recording.rate_hz in {8000, 16000}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (_wav(channels=2), "2 channels"),
        (_wav(rate_hz=44100), "44100 Hz"),
        (_wav(bits=8), "8 bit"),
        (_wav(coding=7), "coding 7"),
        (b"ID3\x04", "not a WAV file"),
        (_wav()[:40], "no samples chunk"),
        (write_wav(bytes(2 * 8000 * 61), 8000), "61.0 s long"),
    ],
)
def test_a_refusal_says_what_was_found(data: bytes, found: str) -> None:
    """A file of another kind is refused with what it is."""
    with pytest.raises(BadRequest, match=found):
        read_wav(data)


def test_sixty_seconds_are_taken() -> None:
    """A recording of exactly the longest length is read."""
    assert read_wav(write_wav(bytes(2 * 8000 * 60), 8000)).length_s == 60.0


def test_a_streamed_file_is_read_to_its_end() -> None:
    """A size that was never filled in means all the bytes there are."""
    data = bytearray(write_wav(b"\1\0\2\0", 8000))
    data[40:44] = b"\xff\xff\xff\xff"
    assert read_wav(bytes(data)).pcm == b"\1\0\2\0"


def test_levels_are_root_mean_squares() -> None:
    """A square wave of 100 has the level 100 in each whole window, and a rest is left out."""
    samples = samples_of(struct.pack("<10h", *([100, -100] * 5)))
    assert window_levels(samples, 4) == [100.0, 100.0]
    assert samples_of(pcm_of(samples)) == samples


def _part(samples: array.array[int], frequency_hz: int, rate_hz: int) -> float:
    """Give the strength of one frequency, leaving the edges out."""
    turn = -2j * math.pi * frequency_hz / rate_hz
    inner = range(200, len(samples) - 200)
    return abs(sum(samples[at] * cmath.exp(turn * at) for at in inner)) * 2 / len(inner)


@pytest.mark.parametrize("frequency_hz", [300, 1000, 2000, 3000, 3400])
def test_doubling_the_rate_adds_no_sound(frequency_hz: int) -> None:
    """A tone keeps its strength, and its mirror image above 4 kHz is 24 dB down at least."""
    step = 2 * math.pi * frequency_hz / 8000
    tone = array.array("h", [int(8000 * math.sin(step * at)) for at in range(4400)])
    doubled = double_rate(Recording(pcm_of(tone), 8000, 4000))
    assert (doubled.rate_hz, doubled.band_hz, doubled.length_s) == (16000, 4000, 0.55)
    samples = samples_of(doubled.pcm)
    assert _part(samples, frequency_hz, 16000) == pytest.approx(8000, rel=0.07)
    assert _part(samples, 8000 - frequency_hz, 16000) < 500


def test_doubling_cuts_off_what_does_not_fit() -> None:
    """The loudest possible edges stay within sixteen bits."""
    square = array.array("h", [32767] * 40 + [-32768] * 40)
    doubled = samples_of(double_rate(Recording(pcm_of(square), 8000, 4000)).pcm)
    assert (max(doubled), min(doubled)) == (32767, -32768)
    assert doubled[::2] == square


def test_amplifying_multiplies_every_sample() -> None:
    """Samples are multiplied, and cut off where they would leave their range."""
    samples = array.array("h", [0, 100, -100, 20_000, -20_000])
    louder = samples_of(amplify(Recording(pcm_of(samples), 8000, 4000), 2.0).pcm)
    assert louder.tolist() == [0, 200, -200, 32767, -32768]
