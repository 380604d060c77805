"""Makes what the simulated people say: telephone-band A-law, as their phones would send it.

Each behaviour is one track from the answer to the end of the call, with line noise around the
words: a phone sends packets all the time, and Asterisk's talk detection and recordings count on it.
"""

from __future__ import annotations

import random
import sys
import wave
from array import array
from collections.abc import Iterable
from math import sin, tau
from pathlib import Path

from lab import host, packets
from lab.behaviours import Keys, Talk

VOICES = ("en-us+m3", "en-us+f4", "en-us+m7", "en-us+f1")
"""Two men, two women. American, as the embedded recogniser's model is: of the same phrases in
espeak-ng's British voices it misses most."""

RENDERING = 1
"""Raise it when the same phrase comes out differently: the rendered audio is cached."""

SAMPLES_PER_MS = 8
_WORDS_PER_MINUTE = 140
_NOISE_AMPLITUDE = 12
"""Line noise around -68 dBFS, far below the 256 that Asterisk takes for talk."""
_PEAK = 16000
_KEYPAD = "123456789*0#"
_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1209, 1336, 1477)


def render_phrase(phrase: str, voice: str, directory: Path, log: Path) -> array[int]:
    """Speak the phrase as 8 kHz samples in the telephone band; rendered once, then from disk."""
    stem = directory / f"{voice}-{phrase.replace(' ', '_').replace(',', '')}"
    spoken, narrow = stem.with_suffix(".speech.wav"), stem.with_suffix(".wav")
    if not narrow.exists():
        directory.mkdir(parents=True, exist_ok=True)
        rate = str(_WORDS_PER_MINUTE)
        host.run(["espeak-ng", "-v", voice, "-s", rate, "-w", str(spoken), phrase], log=log)
        unfinished = stem.with_suffix(".unfinished.wav")
        band = ("-af", "highpass=f=300,lowpass=f=3400", "-ar", "8000", "-ac", "1")
        _convert("-i", str(spoken), *band, "-c:a", "pcm_s16le", str(unfinished), log=log)
        spoken.unlink()
        unfinished.rename(narrow)
    with wave.open(str(narrow)) as file:
        return normalised(_samples(file.readframes(file.getnframes())))


def normalised(samples: array[int]) -> array[int]:
    """Cut the silence around the words and bring the loudest sample to one level."""
    threshold = max((abs(sample) for sample in samples), default=0) // 50
    loud = [index for index, sample in enumerate(samples) if abs(sample) > threshold]
    if not loud:
        return array("h")
    words = samples[loud[0] : loud[-1] + 1]
    gain = _PEAK / max(abs(sample) for sample in words)
    return array("h", (int(sample * gain) for sample in words))


def compose(pieces: Iterable[tuple[int, array[int]]], length_ms: int) -> array[int]:
    """Lay the pieces, each at its start in ms, over line noise of `length_ms`."""
    generator = random.Random(5)
    amplitude = _NOISE_AMPLITUDE
    second = array("h", (generator.randint(-amplitude, amplitude) for _ in range(8000)))
    track = second * (length_ms // 1000 + 1)
    for start_ms, piece in pieces:
        start = start_ms * SAMPLES_PER_MS
        track[start : start + len(piece)] = piece
    return track[: length_ms * SAMPLES_PER_MS]


def tones(digits: str) -> array[int]:
    """Give the tones of pressed keys, each 200 ms long with 100 ms of silence after it."""
    samples = array("h")
    for digit in digits:
        row, column = divmod(_KEYPAD.index(digit), 3)
        low, high = _LOW_HZ[row], _HIGH_HZ[column]
        samples.extend(
            int(_PEAK / 4 * (sin(tau * low * n / 8000) + sin(tau * high * n / 8000)))
            for n in range(200 * SAMPLES_PER_MS)
        )
        samples.extend(array("h", bytes(2 * 100 * SAMPLES_PER_MS)))
    return samples


def write_track(talk: Talk, voice: str, target: Path, phrases: Path, log: Path) -> None:
    """Write all that one person sends during a call, as raw A-law or, with events, a capture."""
    pieces = [
        (
            said.start_ms,
            tones(said.digits)
            if isinstance(said, Keys)
            else render_phrase(said.phrase, voice, phrases, log),
        )
        for said in talk.utterances
        if said not in talk.events
    ]
    samples = compose(pieces, talk.leave_ms if talk.sends_ms is None else talk.sends_ms)
    write_alaw(samples, target, log)
    if talk.events:
        target.write_bytes(packets.capture(target.read_bytes(), talk.events))


def write_alaw(samples: array[int], target: Path, log: Path) -> None:
    """Write samples as raw A-law."""
    if sys.byteorder == "big":
        samples.byteswap()
    raw = target.with_suffix(".s16le")
    raw.write_bytes(samples.tobytes())
    pcm = ("-f", "s16le", "-ar", "8000", "-ac", "1")
    _convert(*pcm, "-i", str(raw), "-f", "alaw", str(target), log=log)
    raw.unlink()


def longest_ms(phrases: Iterable[str], directory: Path, log: Path) -> dict[str, int]:
    """Give the length of each phrase in its slowest voice."""
    return {
        phrase: max(
            len(render_phrase(phrase, voice, directory, log)) // SAMPLES_PER_MS for voice in VOICES
        )
        for phrase in phrases
    }


def _convert(*arguments: str, log: Path) -> None:
    host.run(
        ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments], log=log
    )


def _samples(frames: bytes) -> array[int]:
    samples = array("h", frames)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
