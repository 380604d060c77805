"""Recordings: reading, checking and writing WAV files, and how loud they are.

Pure functions. Samples are signed 16 bit, little endian, mono throughout.
"""

from __future__ import annotations

import array
import struct
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from speech.errors import BadRequest

MAX_LENGTH_S = 60.0
RATES_HZ = (8000, 16000)
_PCM = 1
_EXTENSIBLE = 0xFFFE
_BYTES_PER_SAMPLE = 2
_LARGEST, _SMALLEST = 32767, -32768
_UNKNOWN_SIZE = 0xFFFFFFFF  # written by programs that stream


@dataclass(frozen=True)
class Recording:
    """Speech.

    Attributes:
        pcm: the samples. Personal data.
        rate_hz: samples per second.
        band_hz: highest frequency that may be present; below rate_hz / 2 after upsampling.
    """

    pcm: bytes
    rate_hz: int
    band_hz: int

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / _BYTES_PER_SAMPLE / self.rate_hz


def read_wav(data: bytes, *, longest_s: float | None = MAX_LENGTH_S) -> Recording:
    """Read a WAV file: PCM, 16 bit, mono, 8 or 16 kHz, at most `longest_s` seconds.

    Raises:
        BadRequest: anything else; says what was found and what is wanted.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise BadRequest("audio is not a WAV file: RIFF, PCM s16, mono, 8 or 16 kHz is wanted")
    rate_hz, pcm = _chunks(data)
    recording = Recording(pcm, rate_hz, rate_hz // 2)
    if longest_s is not None and recording.length_s > longest_s:
        raise BadRequest(
            f"audio is {recording.length_s:.1f} s long: at most {longest_s:.0f} s is taken"
        )
    return recording


def _chunks(data: bytes) -> tuple[int, bytes]:
    """Walk the RIFF chunks up to the samples; give the rate and the samples."""
    rate_hz = 0
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt ":
            rate_hz = _rate_of(data[at : at + size])
        elif name == b"data":
            if not rate_hz:
                raise BadRequest("audio is a broken WAV file: the samples come before the format")
            end = len(data) if size == _UNKNOWN_SIZE else min(at + size, len(data))
            whole = (end - at) // _BYTES_PER_SAMPLE * _BYTES_PER_SAMPLE
            return rate_hz, data[at : at + whole]
        at += size + size % 2
    raise BadRequest("audio is a broken WAV file: it holds no samples chunk")


def _rate_of(chunk: bytes) -> int:
    if len(chunk) < 16:
        raise BadRequest("audio is a broken WAV file: its format chunk is too short")
    coding, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if coding not in (_PCM, _EXTENSIBLE) or bits != 16 or channels != 1 or rate_hz not in RATES_HZ:
        raise BadRequest(
            f"audio is coding {coding}, {channels} channels, {rate_hz} Hz, {bits} bit: "
            "PCM s16, mono, 8 or 16 kHz is wanted"
        )
    return int(rate_hz)


def write_wav(pcm: bytes, rate_hz: int) -> bytes:
    """Wrap samples in a plain 44-byte WAV header."""
    bytes_per_s = rate_hz * _BYTES_PER_SAMPLE
    layout = struct.pack("<HHIIHH", _PCM, 1, rate_hz, bytes_per_s, _BYTES_PER_SAMPLE, 16)
    header = b"RIFF" + struct.pack("<I", 36 + len(pcm)) + b"WAVE"
    return header + b"fmt " + struct.pack("<I", 16) + layout + b"data" + _size(pcm) + pcm


def _size(pcm: bytes) -> bytes:
    return struct.pack("<I", len(pcm))


def samples_of(pcm: bytes) -> array.array[int]:
    """Give the samples as numbers, whatever the machine's byte order."""
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def pcm_of(samples: ArrayLike) -> bytes:
    """Give the bytes of samples; what would leave their range is cut off at its edge."""
    return np.clip(samples, _SMALLEST, _LARGEST).astype("<i2").tobytes()


# Half of a half-band low-pass filter: a sinc of 16 taps under a Hamming window. What is left of the
# mirrored band is 50 dB down.
_TAPS = (0.63278, -0.19632, 0.10159, -0.05743, 0.03195, -0.01651, 0.00772, -0.00378)


def amplify(recording: Recording, gain: float) -> Recording:
    """Multiply the samples; what would leave their range is cut off at its edge."""
    louder = np.array(samples_of(recording.pcm), np.float32) * gain
    return Recording(pcm_of(louder), recording.rate_hz, recording.band_hz)


def double_rate(recording: Recording) -> Recording:
    """Bring 8 kHz to 16 kHz: each sample stays, and between two comes what the band allows."""
    reach = len(_TAPS)
    samples = np.array(samples_of(recording.pcm), np.float32)
    count = len(samples)
    padded = np.pad(samples, reach)
    between = np.zeros(count, np.float32)
    for at, tap in enumerate(_TAPS):
        before = padded[reach - at : reach - at + count]
        after = padded[reach + 1 + at : reach + 1 + at + count]
        between += tap * (before + after)
    doubled = pcm_of(np.stack((samples, between), axis=1))
    return Recording(doubled, 2 * recording.rate_hz, recording.band_hz)


def window_levels(samples: ArrayLike, window: int) -> list[float]:
    """Root mean square of each whole window of that many samples, 0 to 32768."""
    values = np.array(samples, np.float64)
    windows = values[: len(values) // window * window].reshape(-1, window)
    levels: list[float] = np.sqrt(np.mean(windows * windows, axis=1)).tolist()
    return levels
